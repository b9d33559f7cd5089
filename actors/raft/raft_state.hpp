// raft_state: the Raft actor's inside: carries out the effects of raft_core and applies what is committed.
// Owner:  the Raft actor; its thread only, but for what it publishes (view, watch hub, group board).
// Units:  -
// Errors: every proposal is answered exactly once: applied, refused, or of unknown fate with a reason.
// Source: the order of effects is stated in raft_core.hpp; what becomes of a write in write_ledger.hpp.
//
// A transaction's way: propose -> ledger, gathered while the mailbox holds more -> one step of the core, or one parcel
// to the leader -> one write job -> written -> committed -> applied here -> view published -> watchers woken -> one
// txns_done per proposer. The proposer's own member applies and answers, so that its next read sees its write.
#pragma once

#include "actors/raft/group_board.hpp"
#include "actors/raft/log_writer.hpp"
#include "actors/raft/raft_actor.hpp"
#include "actors/raft/raft_core.hpp"
#include "actors/raft/raft_transport.hpp"
#include "actors/raft/write_ledger.hpp"
#include "actors/support/component.hpp"
#include "store/member_disk.hpp"
#include "store/snapshot_codec.hpp"
#include "store/watch_window.hpp"

#include <caf/response_promise.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

namespace troupe {

using maintain_tick = caf::atom_constant<caf::atom("raftmaint")>;
using core_tick = caf::atom_constant<caf::atom("rafttick")>;
using patience_tick = caf::atom_constant<caf::atom("raftwait")>;
using readers_wake = caf::atom_constant<caf::atom("raftread")>;
using retry_write = caf::atom_constant<caf::atom("raftretry")>;
using check_tick = caf::atom_constant<caf::atom("raftcheck")>;
using hash_found = caf::atom_constant<caf::atom("rafthash")>;

/// What the outside sees, and what only the writer and the actor's own timers send.
using raft_inner_actor =
    raft_actor::extend<caf::reacts_to<write_done_ptr>, caf::reacts_to<maintain_tick>,
                       caf::reacts_to<core_tick, std::uint64_t>, caf::reacts_to<patience_tick>,
                       caf::reacts_to<readers_wake>, caf::reacts_to<retry_write>, caf::reacts_to<check_tick>,
                       caf::reacts_to<hash_found, std::uint64_t, std::uint64_t>>;

/// Everything recovery made, handed to the actor once.
struct raft_parts {
  raft_options options;
  std::shared_ptr<store::member_disk> disk;
  std::unique_ptr<raft::raft_core> core;
  std::unique_ptr<store::state_machine> machine;
  std::shared_ptr<store::published_view> published;
  std::shared_ptr<store::watch_window> hub;
  // applied, but not yet on disk as objects (the log has it)
  std::vector<store::change_record> unsaved;
  store::applied_mark mark;
  std::uint64_t life = 0;
  store::log_term first_term; // found on disk
};

class raft_state {
public:
  static inline const char* name = "raft";

  void init(raft_inner_actor::pointer self, raft_parts parts);

  // raft_writes.cpp
  void on_propose(propose_ptr& p, const txn_sink_actor& sink);
  void on_parcel(raft::parcel& p);
  void on_patience();
  /// At the end of each handler: what was gathered goes when the mailbox holds nothing more.
  void settle();

  // raft_state.cpp
  void on_written(const write_done& done);
  void on_retry();
  void on_core_tick(std::uint64_t epoch);

  // raft_reads.cpp
  void on_readers();

  // raft_members.cpp
  void on_command(const member_command& c, caf::typed_response_promise<status_ptr> answer);
  void on_stop(caf::typed_response_promise<bool> answer);
  state_copy_ptr copy();
  std::string status_json() const;

  // raft_upkeep.cpp
  void on_maintain();
  void on_check();
  void on_hash(store::log_index at, std::uint64_t hash);

private:
  struct waiter {
    std::uint64_t ticket = 0;
    txn_sink_actor sink;
  };
  struct answers {
    txn_sink_actor sink;
    std::shared_ptr<txns_done> batch;
  };
  using reader = std::function<void(const status&)>;
  struct barrier {
    std::vector<reader> readers;
    raft::instant since{0}, asked{0};
    std::uint64_t id = 0;                 // of the read_index under way; 0: none is
    std::optional<store::log_index> upto; // known: waits until this is applied
  };
  struct outgoing_snapshot {
    store::snapshot_writer writer;
    raft::snapshot_meta meta;
    raft::instant used{0};
  };
  struct incoming_snapshot {
    raft::snapshot_meta meta;
    store::snapshot_reader reader;
    std::shared_ptr<store::snapshot_image> image = std::make_shared<store::snapshot_image>();
  };
  struct waiting_command {
    caf::typed_response_promise<status_ptr> answer;
    std::optional<store::log_position> at; // of the change; empty: a transfer
    raft::instant until{0};
  };
  struct open_check {
    store::log_index at;
    std::map<store::member_id, std::uint64_t> hashes;
  };

  // raft_state.cpp
  void step(const raft::event& e) { perform(core_->step(e, now())); }
  void perform(raft::effects e);
  bool worth_saving(const raft::persist_effect& p) const;
  void start_write(raft::persist_effect& p);
  void start_aside(raft::aside_effect& a);
  void aside_written(const write_done& done);
  void send_job(write_job_ptr job);
  void apply(const std::vector<store::log_entry>& entries);
  void apply_entry(const store::log_entry& e, std::vector<store::change_record>& changes);
  void publish_status();
  void arm(raft::instant wake_at);
  void adopt(const store::group_config& config);
  bool alone() const;
  raft::instant now() const;

  // raft_writes.cpp
  result<void> takes_writes() const;
  void submit();
  bool make_way();
  void there_is_room();
  void refuse_waiting(const status& why);
  void append_waiting();
  void forward(store::member_id leader);
  void take_forwards(store::member_id from, raft::forward_writes& f);
  void take_refusal(const raft::refused_writes& r);
  void finish_write(std::uint64_t number, store::txn_result&& r);
  void refuse(std::uint64_t number, const status& why);
  void answer(const txn_sink_actor& sink, std::uint64_t ticket, store::txn_result&& r);
  void flush_answers();
  raft::parcel& parcel_to(store::member_id who);
  void post(std::vector<raft::message>& messages);
  void flush_parcels();
  void arm_patience();
  status no_leader() const;

  // raft_reads.cpp
  void ask(barrier& b);
  void read_answered(const raft::read_result& r);
  void serve_barriers();
  void fail_late_barriers();
  status late_read(const barrier& b) const;

  // raft_snapshots.cpp
  void send_chunk(const raft::want_chunk& w);
  void take_chunks(const std::vector<raft::snapshot_chunk>& chunks);
  void prepare_install(const raft::snapshot_meta& meta, write_job& job);
  void installed();
  void forget_idle_snapshots();

  // raft_members.cpp
  status_ptr try_change(const member_command& c, std::optional<store::log_position>& at);
  void settle_commands();
  void begin_stop();
  void finish_stop();
  store::member_id best_successor(const std::vector<store::member_id>& but = {}) const;

  // raft_upkeep.cpp
  void arm_maintenance();
  void flush_unsaved(bool close);
  void trim_log(store::write_group& g);
  store::log_index needed_by_others() const;
  void begin_check(store::log_index at);
  void compare_hashes();
  void take_verdict(const raft::diverged& v);
  void leave_service(const std::string& why);

  raft_inner_actor::pointer self_ = nullptr;
  raft_options options_;
  std::shared_ptr<store::member_disk> disk_;
  std::unique_ptr<raft::raft_core> core_;
  std::unique_ptr<store::state_machine> machine_;
  std::shared_ptr<store::published_view> published_;
  std::shared_ptr<store::watch_window> hub_;
  log_writer_actor writer_;
  counters_ptr counters_;
  std::shared_ptr<spdlog::logger> log_ = component_log("raft");

  // writes
  raft::write_ledger ledger_{0};
  raft::met_batches met_;
  std::uint64_t forwarded_ = 0;                       // batches
  store::log_term first_term_;                        // found on disk when this life began
  std::unordered_map<std::uint64_t, waiter> waiters_; // by the ledger's number
  std::vector<answers> answers_;                      // of the step under way
  std::map<store::member_id, raft::parcel_ptr> outbox_;
  raft::instant hold_until_{0}; // after a refusal: no new attempt before this
  unsigned deferred_ = 0;       // handlers since something was last sent on
  bool patience_armed_ = false;

  // disk
  std::vector<raft::message> after_write_; // rest on the write that is out
  write_job_ptr failed_job_;               // to be tried again
  std::vector<raft::message> after_aside_; // rest on the term and vote that are being written beside it
  std::optional<store::hard_state> aside_hard_;
  std::vector<store::change_record> unsaved_;
  store::applied_mark mark_;
  store::revision saved_rev_ = 0;
  std::size_t owed_entries_ = 0, owed_bytes_ = 0; // applied since the objects were last on their way to the disk
  std::size_t log_bytes_ = 0;                     // of entries since the last cut
  bool flush_out_ = false, maintenance_armed_ = false;
  std::optional<status> write_error_; // of the last write, until one succeeds
  std::optional<status> stuck_on_;    // why a write that others may hold already is tried again and again
  // Leadership was handed on because there is no room here: to whom, and when it may be again.
  std::vector<store::member_id> made_way_for_;
  raft::instant make_way_at_{0};
  raft::duration make_way_pause_{0};

  std::uint64_t tick_epoch_ = 0;
  raft::instant tick_at_ = raft::instant::max();
  std::deque<std::pair<raft::instant, store::revision>> samples_; // when a revision was current

  // reads
  std::deque<barrier> barriers_;
  std::uint64_t next_read_ = 1;

  // snapshots
  std::map<store::member_id, outgoing_snapshot> outgoing_;
  std::optional<incoming_snapshot> incoming_;
  std::unique_ptr<store::state_machine> arriving_; // becomes machine_ when its install is durable

  // members
  std::vector<waiting_command> commands_;
  std::vector<caf::typed_response_promise<bool>> stopping_;
  raft::instant stop_by_{0};
  bool handing_over_ = false, closing_ = false, closed_ = false;

  // checks
  std::optional<open_check> check_;
  store::revision checked_rev_ = 0;
  std::string out_of_service_; // for good
  std::string left_group_;     // while it is no member

  std::uint64_t txns_applied_ = 0, groups_written_ = 0, leader_changes_ = 0, snapshots_sent_ = 0, snapshots_taken_ = 0;
  store::member_id last_leader_;
  std::chrono::nanoseconds last_write_{0}, slowest_write_{0};
};

} // namespace troupe
