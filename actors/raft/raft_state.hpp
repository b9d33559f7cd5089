// raft_state: the Raft actor's inside: carries out the effects of raft_core and applies what is committed.
// Owner:  the Raft actor; its thread only, but for what it publishes (view, watch hub).
// Units:  -
// Errors: every proposal is answered exactly once: applied, refused, or of unknown fate with a reason.
// Source: the order of effects is stated in raft_core.hpp.
//
// A transaction's way: propose -> gathered while the mailbox holds more -> one step of the core -> one write job ->
// written -> committed -> applied -> view published -> watchers woken -> one txns_done per proposer.
#pragma once

#include "actors/raft/log_writer.hpp"
#include "actors/raft/raft_actor.hpp"
#include "actors/raft/raft_core.hpp"
#include "actors/support/component.hpp"
#include "store/rocks_backend.hpp"
#include "store/state_machine.hpp"
#include "store/watch_window.hpp"

#include <caf/response_promise.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <deque>
#include <memory>
#include <vector>

namespace troupe {

using maintain_tick = caf::atom_constant<caf::atom("raftmaint")>;
using core_tick = caf::atom_constant<caf::atom("rafttick")>;

/// What the outside sees, and what only the writer and the actor's own timers send.
using raft_inner_actor = raft_actor::extend<caf::reacts_to<write_done_ptr>, caf::reacts_to<maintain_tick>,
                                            caf::reacts_to<core_tick, std::uint64_t>>;

/// Everything recovery made, handed to the actor once.
struct raft_parts {
  raft_options options;
  std::shared_ptr<store::rocks_backend> disk;
  std::unique_ptr<raft::raft_core> core;
  std::unique_ptr<store::state_machine> machine;
  std::shared_ptr<store::published_view> published;
  std::shared_ptr<store::watch_window> hub;
  // applied, but not yet on disk as objects (the log has it)
  std::vector<store::change_record> unsaved;
  store::applied_mark mark;
};

class raft_state {
public:
  static inline const char* name = "raft";

  void init(raft_inner_actor::pointer self, raft_parts parts);

  void on_propose(propose_ptr& p, const txn_sink_actor& sink);
  void on_written(const write_done& done);
  void on_maintain();
  void on_core_tick(std::uint64_t epoch);
  void on_stop(caf::typed_response_promise<bool> answer);
  std::string status_json() const;
  state_copy_ptr copy();
  /// At the end of each handler: what was gathered goes when the mailbox holds nothing more.
  void settle();

private:
  struct pending_txn {
    store::log_index index;
    store::log_term term;
    std::uint64_t ticket = 0;
    txn_sink_actor sink;
  };
  struct gathered_txn {
    std::uint64_t ticket = 0;
    txn_sink_actor sink;
    raft::bytes_ptr payload;
  };
  struct answers {
    txn_sink_actor sink;
    std::shared_ptr<txns_done> batch;
  };

  void submit();
  void perform(raft::effects e);
  void start_write(raft::persist_effect& p);
  void apply(const std::vector<store::log_entry>& entries);
  void fail_pending(store::log_index from, const status& why);
  void answer(const txn_sink_actor& sink, std::uint64_t ticket, store::txn_result&& r);
  void flush_answers();
  void flush_unsaved(bool close);
  void trim_log(store::write_group& g);
  void arm_maintenance();
  void finish_stop();
  status refusal_status(raft::refusal r) const;
  raft::instant now() const { return self_->clock().now().time_since_epoch(); }

  raft_inner_actor::pointer self_ = nullptr;
  raft_options options_;
  std::shared_ptr<store::rocks_backend> disk_;
  std::unique_ptr<raft::raft_core> core_;
  std::unique_ptr<store::state_machine> machine_;
  std::shared_ptr<store::published_view> published_;
  std::shared_ptr<store::watch_window> hub_;
  log_writer_actor writer_;
  counters_ptr counters_;

  std::vector<gathered_txn> gathered_;
  std::deque<pending_txn> pending_; // ascending index
  std::vector<answers> answers_;    // of the step under way
  std::vector<store::change_record> unsaved_;
  store::applied_mark mark_;
  store::revision saved_rev_ = 0;
  std::size_t log_bytes_ = 0; // of entries since the last cut
  bool flush_out_ = false;
  bool maintenance_armed_ = false;
  std::uint64_t tick_epoch_ = 0;
  raft::instant tick_at_ = raft::instant::max();
  std::deque<std::pair<raft::instant, store::revision>> samples_; // when a revision was current
  std::optional<status> write_error_;                             // of the last write, until one succeeds
  std::vector<caf::typed_response_promise<bool>> stopping_;
  bool closing_ = false, closed_ = false;
  std::uint64_t txns_applied_ = 0, groups_written_ = 0;
  std::chrono::nanoseconds last_write_{0}, slowest_write_{0};
};

} // namespace troupe
