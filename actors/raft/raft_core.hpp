// raft_core: the Raft algorithm as a pure machine: (event, now) -> effects. Any number of members, one included.
// Owner:  raft_actor; one thread. No clock, thread, disk, socket or ambient randomness in here.
// Units:  all bounds come from core_options.
// Errors: refusals in effects::refused; messages of strangers and of the past are ignored.
// Source: Raft thesis (sections named at each step); etcd raft for flow control and pre-vote details.
//
// The shell must, for each effects value, in this order:
//   1. start `persist`; at most one is ever out: the core hands out the next only after `persisted` (or
//      `persist_failed`). What gathers meanwhile is the next group: group commit without a timer.
//   2. send `send` (it never depends on anything that is not durable yet);
//   3. apply `apply` in order, after an earlier `install` has been carried out;
//   4. answer `reads` whose index is applied; read `want_chunks`;
//   5. call tick no later than `wake_at`.
// When the persist is durable: send its `then_send`, then step(persisted). Term and vote, then entries, are durable
// before any message that rests on them, and an entry is applied only when it is committed and durable here. But while
// the disk refuses a write (persist_failed, in a group), what a majority holds is applied without it, so that reads go
// on; the shell then saves no state that is ahead of its log. A restart forgets such entries and gets them again.
// Meanwhile the shell starts `aside` at once, for a disk may have room for a term and a vote where it has none for
// entries, then sends its `then_send` and steps aside_written. The refused group must not write an older term or vote
// over it.
#pragma once

#include "actors/raft/quorum.hpp"
#include "actors/raft/raft_log.hpp"
#include "actors/raft/raft_types.hpp"
#include "actors/raft/tracker.hpp"

#include <map>

namespace troupe::raft {

struct core_options {
  member_id self{1};
  duration heartbeat_every = std::chrono::milliseconds(50);
  duration election_min = std::chrono::milliseconds(500); // jittered up to twice this
  bool lease_reads = false; // answer reads without a round while a quorum answered recently; trusts clock rates
  /// Commits that follow each other this closely are told at once only to who waits for one, with an entry of its own
  /// or a read; the others hear with the next append, or this long after: telling everybody each time costs as much as
  /// replicating. 0: everybody at once. So is told what must not wait: a membership change, and a term's first commit.
  duration tell_within = std::chrono::milliseconds(5);
  /// Beside itself a leader needs few for a majority: those that acknowledged most get new entries at once, the others
  /// this much later, then several in one message and one sync; but at once what they wait for themselves. A partner
  /// that is late costs a write no more than this. 0: everybody gets them at once.
  duration spare_for = std::chrono::milliseconds(5);
  std::size_t spared_entries_max = 256;    // then it gets them
  std::size_t append_bytes_max = 64 << 10; // of one append message: a snapshot or batch never delays a heartbeat
  std::size_t append_entries_max = 1024;
  std::size_t inflight_max = 16;                 // append messages without an answer, per member
  std::size_t uncommitted_bytes_max = 64u << 20; // beyond: proposals are refused as overloaded
  std::size_t persist_bytes_max = 4u << 20;      // of one group
  std::size_t held_bytes_max = 64u << 20; // taken while the disk refuses; beyond: no more entries until it writes
  std::size_t persist_entries_max = 4096;
  std::uint64_t seed = 1; // of election jitter
};

/// What a member starts from.
struct core_state {
  hard_state hard;
  log_position base;
  std::vector<log_entry> log;
  log_index applied;   // the durable state machine covers the log up to here
  group_config config; // as of `applied`; later changes are found in the log
  /// The disk lost entries this member may have acknowledged (term and vote are whole): it neither votes nor stands
  /// for election before it holds everything a leader had committed in its own term.
  bool recovering = false;
};

class raft_core {
public:
  raft_core(core_options options, core_state from);

  effects step(const event& e, instant now);

  role role_now() const { return role_; }
  log_term term() const { return hard_.term; }
  member_id leader() const { return leader_; }
  /// The latest configuration in the log, committed or not (thesis 4.1: used from the moment it is appended).
  const group_config& config() const { return configs_.back().second; }
  const raft_log& log() const { return log_; }
  const std::map<member_id, progress>& members() const { return progress_; }
  bool recovering() const { return recovering_; }
  /// A snapshot has taken the log's place but is not durable yet, or not even handed out: the shell's state is still
  /// the one before, although `applied` names the snapshot.
  bool installing() const { return installing_ || waiting_.install.has_value(); }
  bool transferring() const { return static_cast<bool>(transfer_to_); }

private:
  // raft_core.cpp: entry, persistence, following
  void on(const begin&);
  void on(const tick&);
  void on(const receive&);
  void on(const propose_entries&);
  void on(const propose_check&);
  void on(const persisted&);
  void on(const persist_failed&);
  void on(const aside_written&);
  void on(const read_index&);
  void on(const transfer_leadership&);
  void on(const change_members&);
  void on(const chunk_read&);
  void on(const compact_log&);
  void on(const unreachable&);
  void finish_step();
  bool hard_is_durable() const { return durable_hard_.term == hard_.term && durable_hard_.vote == hard_.vote; }
  void send(member_id to, message_body body);
  void send_as(member_id to, log_term term, message_body body);
  void send_when_durable(message m);
  void hand_out_persist();
  void hand_out_aside();
  void hard_is_written(const hard_state& h);
  instant next_deadline() const;

  bool admit(const message& m);
  void handle(const message& m, const append_request& r);
  void handle(const message& m, const heartbeat& r);
  void handle(const message& m, const snapshot_chunk& r);
  void handle(const message& m, const timeout_now& r);
  void handle(const message& m, const read_reply& r);
  void install(const message& m, const snapshot_chunk& r);
  void heard_leader(const message& m);
  bool heeds_leader() const;
  void commit_to(log_index i);
  void append(log_entry e);
  void truncate(log_index first);
  void adopt(const log_entry& e);
  void leave_joint_phase();

  // raft_election.cpp
  void become_follower(log_term term, member_id leader);
  void campaign(bool pre, bool transfer);
  void become_leader();
  void handle(const message& m, const vote_request& r);
  void handle(const message& m, const vote_reply& r);
  bool promotable() const;
  bool alone() const;
  void arm_election();
  instant soon();
  std::uint64_t random();

  // raft_leader.cpp
  void lead_tick();
  bool quorum_contacted_since(instant when) const;
  log_position append_own(entry_kind kind, bytes_ptr payload);
  enum class when_empty { nothing, ask, tell }; // what is sent to a member that has all entries
  void replicate(member_id to, when_empty then);
  void replicate_all(when_empty then);
  void offer(member_id to);
  void offer_all();
  void choose_partners();
  bool spared(member_id id, const progress& p) const;
  void tell_commit(log_index before);
  void broadcast_heartbeat();
  void advance_commit();
  void reset_progress();
  void sync_progress_with_config();
  void handle(const message& m, const append_reply& r);
  void handle(const message& m, const heartbeat_reply& r);
  void handle(const message& m, const snapshot_reply& r);
  void handle(const message& m, const read_request& r);
  void held_append(progress& p, const append_reply& r);
  void refused_append(progress& p, const append_reply& r);
  void queue_read(member_id from, std::uint64_t id);
  void answer_read(member_id from, std::uint64_t id, log_index index, bool ok);
  void start_round();
  void settle_round();
  void drop_reads();
  bool committed_in_term() const { return log_.term_at(log_.commit()) == hard_.term; }
  log_index find_agreement(log_position hint) const;

  const core_options opt_;
  hard_state hard_;
  hard_state durable_hard_;
  hard_state handed_hard_;
  raft_log log_;
  // Ascending; the first is as of `applied` or before, the last is in force. Cut back when the log is.
  std::deque<std::pair<log_index, group_config>> configs_;
  role role_ = role::follower;
  member_id leader_;
  std::uint64_t random_;

  instant now_{0};
  effects out_;
  persist_effect waiting_; // gathers while a persist is out
  bool persisting_ = false;
  bool installing_ = false; // the persist that is out replaces the log
  bool recovering_;
  bool disk_refuses_ = false;       // with others: the persist that is out is tried again and again
  std::size_t held_bytes_ = 0;      // of entries appended since it does
  std::optional<hard_state> aside_; // is being written
  bool aside_refused_ = false;      // not before the disk was asked for the refused group again
  bool write_refused_ = false;      // alone: do not offer term and vote again before there is something new to write

  instant election_at_ = instant::max();
  instant leader_seen_{0};
  bool leader_was_seen_ = false;
  instant no_votes_until_{0}; // with leases: a restart forgot whom we last heard
  std::map<member_id, bool> votes_;

  // leading
  std::map<member_id, progress> progress_;
  instant heartbeat_at_ = instant::max();
  instant quorum_check_at_ = instant::max();
  instant tell_at_ = instant::max();
  instant offer_at_ = instant::max(); // spared members get what is new
  std::vector<member_id> partners_;   // who makes a majority with us; empty: nobody is spared
  instant committed_at_{0};
  member_id transfer_to_;
  instant transfer_until_ = instant::max();
  bool lease_spent_ = false; // a transfer was tried in this term: a late "take over" would break a lease
  log_index pending_change_; // no other change before this one is committed
  std::size_t uncommitted_bytes_ = 0;
  struct waiting_read {
    member_id from;
    std::uint64_t id = 0;
    log_index index;
  };
  std::vector<waiting_read> round_reads_;  // answered when the running round is confirmed
  std::vector<waiting_read> queued_reads_; // go with the next round
  std::uint64_t round_ = 0;
  bool round_open_ = false;
  instant round_sent_{0};
  instant lease_until_{0};

  // following
  std::vector<std::uint64_t> forwarded_reads_;
  std::optional<snapshot_meta> incoming_;
  std::uint64_t incoming_offset_ = 0;
};

} // namespace troupe::raft
