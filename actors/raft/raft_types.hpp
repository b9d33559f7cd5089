// raft_types: messages, events and effects of the Raft core: its whole interface with the world.
// Owner:  nobody; plain values.
// Units:  instants are nanoseconds since any fixed epoch; the core never asks for the time.
// Errors: a refused proposal says why in `refusal`.
// Source: Raft thesis figures 3.1, 4.1, 5.3; 4.2.1 (learners), 4.3 (joint consensus), 6.4 (reads), 9.6 (pre-vote).
#pragma once

#include "store/log_entry.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace troupe::raft {

using store::entry_kind;
using store::group_config;
using store::hard_state;
using store::log_entry;
using store::log_index;
using store::log_position;
using store::log_term;
using store::member_id;

using instant = std::chrono::nanoseconds;
using duration = std::chrono::nanoseconds;
using bytes_ptr = std::shared_ptr<const std::string>;

enum class role : std::uint8_t { follower, pre_candidate, candidate, leader };

// ---------------------------------------------------------------- messages between members

struct vote_request {
  log_position last;
  bool pre = false;      // asks only; changes nobody's term
  bool transfer = false; // the leader itself wants this election
};
struct vote_reply {
  bool granted = false;
  bool pre = false;
};
struct append_request {
  log_position prev;
  std::vector<log_entry> entries;
  log_index commit;
  bool tells = false; // only what is committed: an answer is due only when it does not fit
};
struct append_reply {
  bool ok = false;
  log_index match;   // ok: everything up to here is durable; refused: the prev index that did not match
  log_position hint; // refused: where the logs may agree
  /// Of a member whose disk lost what it acknowledged. Refused: believe `hint`, not the past. ok: it does not vote
  /// before an append tells it what is committed in this term.
  bool lost = false;
  /// ok, but `match` is only in the memory of a member whose disk refuses writes: more may be sent, nothing counts.
  bool held = false;
};
struct heartbeat {
  log_index commit;
  std::uint64_t round = 0; // of ReadIndex
};
struct heartbeat_reply {
  std::uint64_t round = 0;
};
struct snapshot_meta {
  log_position at;
  group_config config;
  friend bool operator==(const snapshot_meta&, const snapshot_meta&) = default;
};
struct snapshot_chunk {
  snapshot_meta meta;
  std::uint64_t offset = 0;
  bytes_ptr data;
  bool last = false;
};
struct snapshot_reply {
  log_position at;
  std::uint64_t next_offset = 0; // what the follower wants now
};
struct timeout_now {}; // start an election at once: leadership transfer
struct read_request {
  std::uint64_t id = 0;
};
struct read_reply {
  std::uint64_t id = 0;
  log_index index;
  bool ok = false;
};

using message_body = std::variant<vote_request, vote_reply, append_request, append_reply, heartbeat, heartbeat_reply,
                                  snapshot_chunk, snapshot_reply, timeout_now, read_request, read_reply>;
struct message {
  member_id from, to;
  log_term term;
  message_body body;
};

// ---------------------------------------------------------------- membership changes

struct members_change {
  enum class op : std::uint8_t { add_voter, add_learner, remove };
  struct step {
    op what = op::add_voter;
    member_id who;
    friend bool operator==(const step&, const step&) = default;
  };
  std::vector<step> steps; // empty: leave the joint phase
  friend bool operator==(const members_change&, const members_change&) = default;
};

// ---------------------------------------------------------------- events

struct begin {}; // first event after construction
struct tick {};  // time has passed; due when effects::wake_at is reached, harmless at any time
struct receive {
  message m;
};
struct propose_entries {
  std::vector<bytes_ptr> payloads; // all or none are accepted
  member_id from{};                // who waits for them, if that is another member
};
struct propose_check {}; // every member shall report the hash of its state as of this entry
struct persisted {};     // the one persist effect that was handed out is durable
/// The persist could not be written. Of a member without others, what it would have appended is cut off and nothing
/// of it counts. With others it may be theirs already: a leader steps down, the shell goes on trying that write, and
/// meanwhile what is committed is applied though it is not durable here.
struct persist_failed {};
struct aside_written { // effects::aside is durable, or could not be written
  bool ok = true;
};
struct read_index {
  std::uint64_t id = 0;
};
struct transfer_leadership {
  member_id to;
};
struct change_members {
  members_change change;
};
struct chunk_read { // the shell's answer to effects::want_chunks
  member_id to;
  snapshot_chunk chunk;
};
struct compact_log { // entries up to `upto` are in the durable state machine; the core may forget them
  log_index upto;
};
struct unreachable { // a message to this member was lost for certain
  member_id who;
};

using event =
    std::variant<begin, tick, receive, propose_entries, propose_check, persisted, persist_failed, aside_written,
                 read_index, transfer_leadership, change_members, chunk_read, compact_log, unreachable>;

// ---------------------------------------------------------------- effects

enum class refusal : std::uint8_t {
  none,
  not_leader,
  overloaded,     // too much that is not committed yet
  transferring,   // leadership is being handed over
  change_pending, // another membership change has not been committed
  change_invalid,
  no_space, // of the shell: the leader's disk is full
};

/// Made durable in the order of its members; all or nothing where the disk can.
struct persist_effect {
  std::optional<hard_state> hard;
  std::vector<snapshot_chunk> chunks;   // of a snapshot that is being received
  std::optional<snapshot_meta> install; // its chunks are complete: replaces log and state machine
  std::vector<log_entry> append;        // replaces the durable log from its first index on
  std::vector<message> then_send;       // only after all of the above is durable
};

/// Term and vote alone, while the disk refuses the group that is out: written at once, not behind that group.
struct aside_effect {
  hard_state hard;
  std::vector<message> then_send; // only after it is durable
};

struct read_result {
  std::uint64_t id = 0;
  log_index index; // serve once this is applied
  bool ok = false;
};

struct want_chunk {
  member_id to;
  std::optional<log_position> of; // of the snapshot under way; empty: take a new one
  std::uint64_t offset = 0;
};

struct effects {
  std::optional<persist_effect> persist;
  std::optional<aside_effect> aside;
  std::vector<message> send;    // at once, also while a persist is running
  std::vector<log_entry> apply; // committed and durable here, in order, each exactly once
  std::vector<read_result> reads;
  std::vector<want_chunk> want_chunks;
  std::optional<log_position> accepted; // first one of propose_entries; of change_members
  refusal refused = refusal::none;
  std::optional<log_index> lost_from; // proposals from this index on were cut off the log
  std::optional<group_config> config; // in force from now on
  bool role_changed = false;
  instant wake_at = instant::max();
};

} // namespace troupe::raft
