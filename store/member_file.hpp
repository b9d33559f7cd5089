// member_file: who a member is, its term and vote, and which directory holds its data: one small checked text file.
// Owner:  rocks_backend; replaced as a whole (written beside, synced, exchanged, directory synced). What lies beside it
//         as DIR/member.new is the one before, of use to nobody but the next write, which finds its blocks there.
// Units:  DIR/member; written only when term, vote, configuration or data directory change: a few times a day.
// Errors: 500 with the place when it is damaged, 507 when there is no room.
// Source: ours. It lies outside RocksDB so that wrecked data never takes the vote with it: a member that forgets its
//         vote could elect two leaders of one term, while lost data comes back from the peers.
#pragma once

#include "api/status.hpp"
#include "store/log_entry.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::store {

struct member_record {
  std::string cluster;
  member_id member;
  log_term term;
  member_id vote;
  std::uint64_t generation = 1; // DIR/data-<generation> is the RocksDB directory in use
  group_config config;          // the last one applied: tells whether there are peers to repair from
  /// The data in use is not to be trusted, because of this; it is set aside at the next start.
  std::string condemned;
  /// Data was set aside because of this, and no snapshot of the peers has replaced it yet.
  std::string damage;
  friend bool operator==(const member_record&, const member_record&) = default;
};

std::string encode_member(const member_record& r);
/// The reason when the text is not what encode_member wrote.
result<member_record> decode_member(std::string_view text);

/// Empty when there is no such file.
result<std::optional<member_record>> read_member_file(const std::string& dir);
result<void> write_member_file(const std::string& dir, const member_record& r);

/// Makes renames and new names inside `dir` durable.
result<void> sync_dir(const std::string& dir);

} // namespace troupe::store
