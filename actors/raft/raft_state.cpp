#include "actors/raft/raft_state.hpp"

#include "actors/raft/limits.hpp"
#include "store/mutations.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace troupe {

using store::log_index;

void raft_state::init(raft_inner_actor::pointer self, raft_parts parts) {
  self_ = self;
  options_ = std::move(parts.options);
  disk_ = std::move(parts.disk);
  core_ = std::move(parts.core);
  machine_ = std::move(parts.machine);
  published_ = std::move(parts.published);
  hub_ = std::move(parts.hub);
  unsaved_ = std::move(parts.unsaved);
  mark_ = std::move(parts.mark);
  ledger_ = raft::write_ledger(parts.life);
  first_term_ = parts.first_term;
  writer_ = options_.threads ? self->spawn<caf::linked + caf::detached>(log_writer, disk_)
                             : self->spawn<caf::linked>(log_writer, disk_);
  if (options_.board) counters_ = options_.board->enter(options_.board_path);
  caf::weak_actor_ptr weak{self->ctrl()};
  options_.group->on_readers([weak] {
    if (auto strong = caf::actor_cast<caf::strong_actor_ptr>(weak))
      caf::anon_send(caf::actor_cast<raft_inner_actor>(strong), readers_wake::value);
  });
  if (options_.transport) {
    options_.transport->deliver_to(caf::actor_cast<raft_actor>(raft_inner_actor(self)));
    options_.transport->members(raft::all_members(core_->config()));
  }
  if (options_.timing.check_every.count() > 0)
    self_->delayed_send(self_, options_.timing.check_every, check_tick::value);
  if (!unsaved_.empty() || machine_->rev() > disk_->horizon()) arm_maintenance();
  step(raft::tick{});
  publish_status();
}

raft::instant raft_state::now() const {
  const auto t = self_->clock().now().time_since_epoch();
  return options_.my_clock ? options_.my_clock(t) : t;
}

bool raft_state::alone() const {
  const auto all = raft::all_members(core_->config());
  return all.size() == 1 && all.front() == options_.member;
}

// ---------------------------------------------------------------- effects

/// In the order that raft_core.hpp states.
void raft_state::perform(raft::effects e) {
  if (e.persist) start_write(*e.persist);
  if (e.aside) start_aside(*e.aside);
  post(e.send);
  if (e.config) adopt(*e.config);
  if (!e.apply.empty()) apply(e.apply);
  if (e.lost_from && alone()) // could not be written here, and is nowhere else
    for (auto number : ledger_.sent_up_to(core_->term()))
      refuse(number, write_error_.value_or(errors::unavailable("the write was not accepted")));
  for (const auto& r : e.reads)
    read_answered(r);
  for (const auto& w : e.want_chunks)
    send_chunk(w);
  arm(e.wake_at);
  publish_status();
}

void raft_state::adopt(const store::group_config& config) {
  const auto before = raft::all_members(mark_.config);
  mark_.config = config;
  owed_entries_ = limits::owed_entries_max; // a rescue reads it from the disk: it goes with the next group
  const auto now_in = raft::all_members(core_->config());
  if (options_.transport) options_.transport->members(now_in);
  const auto me = options_.member;
  const bool member = raft::contains(now_in, me);
  if (member) left_group_.clear();
  if (!member && raft::contains(before, me))
    left_group_ = "member " + std::to_string(me.v) + " was removed from the group of masters: ask another master";
}

void raft_state::arm(raft::instant wake_at) {
  // An early tick is harmless and arms the next one; so a deadline that only moves away costs no timer.
  if (wake_at >= tick_at_) return;
  tick_at_ = wake_at;
  self_->delayed_send(self_, std::max(raft::duration{0}, tick_at_ - now()), core_tick::value, ++tick_epoch_);
}

void raft_state::on_core_tick(std::uint64_t epoch) {
  if (epoch != tick_epoch_) return;
  tick_at_ = raft::instant::max();
  step(raft::tick{});
}

void raft_state::publish_status() {
  const auto& log = core_->log();
  group_status s;
  s.role = core_->role_now();
  s.member = options_.member;
  s.leader = core_->leader();
  s.term = core_->term();
  s.serving = s.role == raft::role::leader && log.term_at(log.applied()) == s.term && !core_->installing() &&
              out_of_service_.empty();
  s.alone = alone();
  s.out_of_service = out_of_service_.empty() ? left_group_ : out_of_service_;
  if (s.leader != last_leader_) {
    if (s.leader) ++leader_changes_;
    if (mutated(mutation::repropose_open)) ledger_.term_applied(s.term);
    last_leader_ = s.leader;
    hold_until_ = raft::instant{0}; // somebody new to ask
    for (auto& b : barriers_)
      if (!b.upto) b.id = 0;
    outgoing_.clear();
    check_.reset();
    log_->info("member {} term {}: {}", s.member.v, s.term.v,
               s.leader ? "member " + std::to_string(s.leader.v) + " leads" : std::string("no leader is known"));
  }
  options_.group->set(std::move(s));
}

// ---------------------------------------------------------------- disk

/// The log holds what the objects come from, so they may follow later, several at once: whoever waits for a small group
/// then waits for its entry alone.
bool raft_state::worth_saving(const raft::persist_effect& p) const {
  return p.append.size() >= limits::busy_group_entries || owed_entries_ >= limits::owed_entries_max ||
         owed_bytes_ >= limits::owed_bytes_max;
}

void raft_state::start_write(raft::persist_effect& p) {
  auto job = std::make_shared<write_job>();
  job->of_core = true;
  job->group.hard = p.hard;
  after_write_ = std::move(p.then_send);
  take_chunks(p.chunks);
  if (p.install) prepare_install(*p.install, *job);
  job->group.append = std::move(p.append);
  for (const auto& e : job->group.append)
    log_bytes_ += e.bytes();
  if (!p.install && worth_saving(p) && mark_.at.index <= core_->log().handed()) {
    job->group.changes = std::exchange(unsaved_, {});
    if (!job->group.changes.empty() || mark_.at.index > core_->log().base().index) job->group.applied = mark_;
    trim_log(job->group);
    owed_entries_ = owed_bytes_ = 0;
  }
  send_job(std::move(job));
}

/// Behind whatever the log writer has in hand: it writes in the order it is asked.
void raft_state::start_aside(raft::aside_effect& a) {
  auto job = std::make_shared<write_job>();
  job->aside = true;
  job->group.hard = aside_hard_ = a.hard;
  after_aside_ = std::move(a.then_send);
  send_job(std::move(job));
}

void raft_state::aside_written(const write_done& done) {
  auto after = std::exchange(after_aside_, {});
  if (!done.error) post(after);
  step(raft::aside_written{!done.error});
}

void raft_state::send_job(write_job_ptr job) { self_->send(writer_, std::move(job), write_sink_actor(self_)); }

void raft_state::on_written(const write_done& done) {
  ++groups_written_;
  last_write_ = done.took;
  slowest_write_ = std::max(slowest_write_, done.took);
  auto& group = done.job->group;
  if (done.job->aside) return aside_written(done);
  if (!done.job->of_core) flush_out_ = false;
  if (done.error) {
    if (!write_error_) log_->error("{}", done.error->message);
    write_error_ = done.error;
    if (done.error->reason == "StoreDamaged" && !alone()) return leave_service(done.error->message);
    // The objects stay owed to the disk; the log holds what they come from.
    if (!group.changes.empty()) owed_entries_ = limits::owed_entries_max;
    unsaved_.insert(unsaved_.begin(), group.changes.begin(), group.changes.end());
    group.changes.clear();
  } else {
    if (write_error_) log_->info("the store accepts writes again");
    write_error_.reset();
    if (group.applied) saved_rev_ = group.applied->rev;
  }
  if (done.job->close) {
    closed_ = true;
    finish_stop();
    return;
  }
  if (done.job->of_core && done.error) {
    step(raft::persist_failed{});
    if (alone()) {
      after_write_.clear();
    } else { // it may be the others' already: it must be written before anything else
      failed_job_ = done.job;
      stuck_on_ = done.error;
      self_->delayed_send(self_, limits::retry_write_after, retry_write::value);
    }
  } else if (done.job->of_core) {
    stuck_on_.reset();
    aside_hard_.reset();
    if (group.install) installed();
    if (group.drop_log_to) step(raft::compact_log{group.drop_log_to->index});
    auto after = std::exchange(after_write_, {});
    post(after);
    step(raft::persisted{});
    serve_barriers(); // they may have waited for an install
  }
  if (!stopping_.empty()) finish_stop();
}

void raft_state::on_retry() {
  if (!failed_job_) return;
  auto job = std::exchange(failed_job_, nullptr);
  if (aside_hard_) job->group.hard = aside_hard_; // never an older term over a newer one
  if (!job->group.install) {                      // its objects went back to what is owed, so the log is still needed
    job->group.applied.reset();
    job->group.drop_log_to.reset();
  }
  send_job(std::move(job));
}

// ---------------------------------------------------------------- apply

void raft_state::apply_entry(const store::log_entry& e, std::vector<store::change_record>& changes) {
  raft::write_id id;
  std::string_view txn;
  const bool write = e.kind == store::entry_kind::change;
  const bool framed = write && e.payload && raft::split_write(*e.payload, id, txn);
  const auto number = framed ? ledger_.applied(id) : std::nullopt;
  ledger_.term_applied(e.term);
  const auto before = changes.size();
  if (write) {
    auto r = machine_->apply(e, changes);
    ++txns_applied_;
    if (number) finish_write(*number, std::move(r));
  }
  if (options_.on_applied) options_.on_applied(e, std::span(changes).subspan(before), machine_->rev());
}

void raft_state::apply(const std::vector<store::log_entry>& entries) {
  std::vector<store::change_record> changes;
  std::optional<log_index> check;
  owed_entries_ += entries.size();
  for (const auto& e : entries) {
    owed_bytes_ += e.bytes();
    apply_entry(e, changes);
    if (e.kind != store::entry_kind::check) continue;
    mark_.at = {e.index, e.term};
    begin_check(e.index);
  }
  mark_.at = {entries.back().index, entries.back().term};
  mark_.rev = machine_->rev();
  if (!changes.empty()) {
    published_->set(machine_->snapshot());
    hub_->append(changes, machine_->rev());
    unsaved_.insert(unsaved_.end(), std::make_move_iterator(changes.begin()), std::make_move_iterator(changes.end()));
    arm_maintenance();
  }
  serve_barriers();
  settle_commands();
}

} // namespace troupe
