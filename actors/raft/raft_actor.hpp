// raft_actor: the door to the replicated store: opens and recovers a data directory and spawns its actors.
// Owner:  the returned raft actor owns log, state machine, view and watch hub; a detached writer actor owns the disk.
// Units:  recovery runs inside spawn_raft and ends before it returns.
// Errors: a status whose sentence says what to do: directory in use, other cluster, newer format, corrupt record.
// Source: Raft thesis; ours: group commit without timers (while one sync runs, proposals gather for the next).
#pragma once

#include "actors/protocol.hpp"
#include "actors/raft/limits.hpp"
#include "actors/raft/raft_types.hpp"
#include "api/status.hpp"
#include "store/limits.hpp"
#include "store/log_entry.hpp"

#include <caf/fwd.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace troupe {

class actor_board;
class group_board;
class raft_transport;
namespace store {
class member_disk;
struct applied_mark;
struct change_record;
} // namespace store

/// Defaults fit a data centre: a dead leader is replaced within about a second.
struct raft_timing {
  std::chrono::milliseconds heartbeat_every{50};
  std::chrono::milliseconds election_min{500}; // jittered up to twice this
  /// A write that found no leader waits this long for one before it is refused with 503.
  std::chrono::milliseconds leader_patience{5000};
  std::chrono::seconds check_every{60}; // state hashes of all members are compared; 0: never
  bool lease_reads = false;             // trusts clock rates; see raft_core.hpp
};

struct raft_options {
  std::string data_dir; // made with mode 0700 when missing; holds nothing but the store
  /// Names the cluster the directory belongs to. Empty: take what the directory says; refused when that is new.
  std::string cluster_id;
  store::member_id member{1};
  /// Who founds the group, for a new directory. Empty: this member alone, unless it is `joining`.
  std::vector<store::member_id> founders;
  bool joining = false; // of a new directory: others lead the group already and will add this member
  /// How the others are reached; null in a group of one. Outlives the actor.
  std::shared_ptr<raft_transport> transport;
  /// May be null: made then. Given when somebody else must hold it before the actor exists.
  std::shared_ptr<group_board> group;
  raft_timing timing;
  /// Leadership goes to the voter with the highest number here among those that hold everything; absent: 0.
  std::map<store::member_id, int> priorities;
  std::uint64_t disk_reserve_bytes = store::limits::disk_reserve_bytes;
  std::chrono::seconds retention = store::limits::retention_min;
  std::uint64_t seed = 1;             // of election jitter and of this life's write ids: different at each start
  std::shared_ptr<actor_board> board; // may be null: then the actors do not appear in the live tree

  // For simulation and tests.
  std::shared_ptr<store::member_disk> disk; // instead of RocksDB in data_dir
  /// Smaller in a simulation, so that what lies beyond them happens often.
  std::size_t window_events_max = store::limits::window_events_max; // of each table's watch window
  std::size_t log_entries_max = limits::log_entries_max;            // kept behind the applied state
  bool threads = true;                                  // false: the writer is an ordinary actor, nothing is detached
  std::function<raft::instant(raft::instant)> my_clock; // what this member's clock says at a true instant; empty: that
  /// Sees each entry when it has been applied, what it changed and the revision after it; on the actor's thread, and
  /// inside spawn_raft for what recovery applies again.
  std::function<void(const store::log_entry&, std::span<const store::change_record>, store::revision)> on_applied;
  /// Sees each snapshot that replaced the state.
  std::function<void(const store::applied_mark&, const store::state_view&)> on_installed;
  std::string board_path = "node/raft";
};

struct raft_handles {
  raft_actor raft;
  std::shared_ptr<group_board> group;
  std::shared_ptr<store::published> state;
  std::shared_ptr<store::watch_hub> hub;
};

/// Blocks for the time of recovery. When it returns, a group of one has a leader, and `state` and the watch windows
/// hold what this member knew to be committed. A member of a larger group learns the rest from its leader: see `group`.
/// Stop with `flush_and_stop`, then send the actor an exit message.
result<raft_handles> spawn_raft(caf::actor_system& sys, raft_options options);

} // namespace troupe
