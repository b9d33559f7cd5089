// raft_actor: the door to the replicated store: opens and recovers a data directory and spawns its actors.
// Owner:  the returned raft actor owns log, state machine, view and watch hub; a detached writer actor owns the disk.
// Units:  recovery runs inside spawn_raft and ends before it returns.
// Errors: a status whose sentence says what to do: directory in use, other cluster, newer format, corrupt record.
// Source: Raft thesis; ours: group commit without timers (while one sync runs, proposals gather for the next).
#pragma once

#include "actors/protocol.hpp"
#include "api/status.hpp"
#include "store/limits.hpp"
#include "store/log_entry.hpp"

#include <caf/fwd.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace troupe {

class actor_board;

struct raft_options {
  std::string data_dir; // made with mode 0700 when missing; holds nothing but the store
  /// Names the cluster the directory belongs to. Empty: take what the directory says; refused when that is new.
  std::string cluster_id;
  store::member_id member{1};
  std::uint64_t disk_reserve_bytes = store::limits::disk_reserve_bytes;
  std::chrono::seconds retention = store::limits::retention_min;
  std::uint64_t seed = 1;             // of election jitter
  std::shared_ptr<actor_board> board; // may be null: then the actors do not appear in the live tree
};

struct raft_handles {
  raft_actor raft;
  std::shared_ptr<store::published> state;
  std::shared_ptr<store::watch_hub> hub;
};

/// Blocks for the time of recovery. When it returns the group of one has a leader, everything that was ever
/// acknowledged is in `state`, and the watch windows hold the recent past.
/// Stop with `flush_and_stop`, then send the actor an exit message.
result<raft_handles> spawn_raft(caf::actor_system& sys, raft_options options);

} // namespace troupe
