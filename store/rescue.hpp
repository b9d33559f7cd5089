// rescue: what an operator does to a store that nobody runs on: make one from a backup, or make a group of one out of
//         the last survivor.
// Owner:  the verbs `troupe restore` and `troupe recover`; free functions, the store must not be in use.
// Units:  revisions are skipped, so that no cursor of before can be mistaken for one of after (rescue_mark.hpp).
// Errors: 409 in use or not empty, 400 a damaged file with its offset; nothing is changed then.
// Source: etcd's `snapshot restore --bump-revision` and `--force-new-cluster`.
#pragma once

#include "store/rescue_mark.hpp"
#include "store/rocks_backend.hpp"

#include <functional>
#include <string>

namespace troupe::store {

/// Reads a snapshot file from end to end and says what it holds; the first thing wrong otherwise.
struct snapshot_file {
  std::string cluster_id;
  applied_mark mark;
  std::uint64_t objects = 0, bytes = 0;
};
result<snapshot_file> check_snapshot_file(const std::string& path);
/// As above, and gives the whole state away.
result<snapshot_file> load_snapshot_file(const std::string& path, std::unique_ptr<state_machine>& state);

struct rescue_report {
  revision rev_before = 0, rev_after = 0;
  log_position at; // the last entry that is part of the state
  log_term term;   // what the new group begins in
  std::uint64_t objects = 0;
  std::uint64_t replayed = 0; // entries of the log that were not known to be committed, but kept
  group_config was;
};

/// Makes the store of a group of one in `options.dir`, which must hold none. `options.cluster_id` is the new cluster's.
/// `now` decides the revision it goes on at.
result<rescue_report> restore_store(const std::string& path, const backend_options& options,
                                    std::chrono::system_clock::time_point now);
/// Rewrites the store so that its member alone is the group. All of its log counts: what a majority acknowledged and
/// this member has is kept.
result<rescue_report> recover_alone(const backend_options& options, std::chrono::system_clock::time_point now);

} // namespace troupe::store
