#include "actors/raft/raft_state.hpp"

#include "actors/raft/group_board.hpp"
#include "actors/raft/limits.hpp"

#include <caf/event_based_actor.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <malloc.h>

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
  writer_ = self->spawn<caf::linked + caf::detached>(log_writer, disk_);
  group_status alone;
  alone.role = raft::role::leader;
  alone.member = alone.leader = options_.member;
  alone.serving = true;
  options_.group->set(alone);
  if (options_.board) counters_ = options_.board->enter(options_.board_path);
  if (!unsaved_.empty() || machine_->rev() > disk_->horizon()) arm_maintenance();
}

// ---------------------------------------------------------------- proposals

void raft_state::on_propose(propose_ptr& p, const txn_sink_actor& sink) {
  if (counters_) counters_->touch(self_);
  store::txn_result refused;
  refused.rev = machine_->rev();
  if (!stopping_.empty() || closed_) {
    refused.error = errors::unavailable("the store is stopping");
  } else if (pending_.size() + gathered_.size() >= limits::pending_txns_max) {
    refused.error = errors::too_many_requests("too many writes are waiting for the disk", 1);
  } else if (auto fine = store::check(p->change); !fine) {
    refused.error = fine.error();
  } else {
    gathered_.push_back({p->ticket, sink, std::make_shared<const std::string>(store::encode_txn(p->change))});
    return;
  }
  answer(sink, p->ticket, std::move(refused));
}

void raft_state::settle() {
  const bool more = !self_->mailbox().empty();
  if (!gathered_.empty() && (!more || gathered_.size() >= limits::gathered_txns_max)) submit();
  flush_answers();
}

void raft_state::submit() {
  raft::propose_entries e;
  e.payloads.reserve(gathered_.size());
  for (auto& g : gathered_) {
    log_bytes_ += g.payload->size();
    e.payloads.push_back(std::move(g.payload));
  }
  auto batch = std::exchange(gathered_, {});
  auto out = core_->step(e, now());
  if (!out.accepted) {
    const auto why = refusal_status(out.refused);
    for (auto& g : batch) {
      store::txn_result r;
      r.rev = machine_->rev();
      r.error = why;
      answer(g.sink, g.ticket, std::move(r));
    }
  } else {
    auto at = *out.accepted;
    for (auto& g : batch) {
      pending_.push_back({at.index, at.term, g.ticket, std::move(g.sink)});
      at.index = at.index.next();
    }
  }
  perform(std::move(out));
}

status raft_state::refusal_status(raft::refusal r) const {
  switch (r) {
  case raft::refusal::overloaded: return errors::too_many_requests("too many writes are waiting for the disk", 1);
  case raft::refusal::transferring: return errors::unavailable("leadership is being handed over");
  case raft::refusal::not_leader: return errors::unavailable("this member does not lead the group");
  default: return errors::unavailable("the group does not accept writes now");
  }
}

// ---------------------------------------------------------------- effects

/// In the order that raft_core.hpp states. A group of one has nobody to send to.
void raft_state::perform(raft::effects e) {
  if (e.persist) start_write(*e.persist);
  if (e.config) mark_.config = *e.config;
  if (!e.apply.empty()) apply(e.apply);
  if (e.lost_from) fail_pending(*e.lost_from, write_error_.value_or(errors::unavailable("the write was not accepted")));
  if (e.wake_at == tick_at_ || e.wake_at == raft::instant::max()) return;
  tick_at_ = e.wake_at;
  self_->delayed_send(self_, std::max(raft::duration{0}, tick_at_ - now()), core_tick::value, ++tick_epoch_);
}

void raft_state::on_core_tick(std::uint64_t epoch) {
  if (epoch != tick_epoch_) return;
  tick_at_ = raft::instant::max();
  perform(core_->step(raft::tick{}, now()));
}

void raft_state::start_write(raft::persist_effect& p) {
  auto job = std::make_shared<write_job>();
  job->of_core = true;
  job->group.hard = p.hard;
  job->group.append = std::move(p.append);
  job->group.changes = std::exchange(unsaved_, {});
  if (!job->group.changes.empty() || mark_.at.index > core_->log().base().index) job->group.applied = mark_;
  trim_log(job->group);
  self_->send(writer_, std::move(job), write_sink_actor(self_));
}

/// The log is only needed behind the objects' durable state; this group makes `mark_` durable.
void raft_state::trim_log(store::write_group& g) {
  const auto& log = core_->log();
  const auto base = log.base().index;
  if (mark_.at.index <= base) return;
  if (mark_.at.index.v - base.v < limits::log_entries_max && log_bytes_ < limits::log_bytes_max) return;
  const auto behind = limits::log_entries_max / 2;
  const auto cut = log_bytes_ >= limits::log_bytes_max
                       ? mark_.at.index
                       : log_index{mark_.at.index.v - std::min<std::uint64_t>(behind, mark_.at.index.v - base.v)};
  const auto term = log.term_at(cut);
  if (cut <= base || !term) return;
  log_bytes_ = 0;
  g.drop_log_to = store::log_position{cut, *term};
}

void raft_state::on_written(const write_done& done) {
  ++groups_written_;
  last_write_ = done.took;
  slowest_write_ = std::max(slowest_write_, done.took);
  auto& group = done.job->group;
  if (!done.job->of_core) flush_out_ = false;
  if (done.error) {
    if (!write_error_) spdlog::error("raft: {}", done.error->message);
    write_error_ = done.error;
    // The objects stay owed to the disk; the log holds what they come from.
    unsaved_.insert(unsaved_.begin(), group.changes.begin(), group.changes.end());
  } else {
    if (write_error_) spdlog::info("raft: the store accepts writes again");
    write_error_.reset();
    if (group.applied) saved_rev_ = group.applied->rev;
  }
  if (done.job->close) {
    closed_ = true;
    finish_stop();
    return;
  }
  if (done.job->of_core && done.error) {
    perform(core_->step(raft::persist_failed{}, now()));
  } else if (done.job->of_core) {
    if (group.drop_log_to) perform(core_->step(raft::compact_log{group.drop_log_to->index}, now()));
    perform(core_->step(raft::persisted{}, now()));
  }
  if (!stopping_.empty()) finish_stop();
}

void raft_state::apply(const std::vector<store::log_entry>& entries) {
  std::vector<store::change_record> changes;
  for (const auto& e : entries) {
    auto r = machine_->apply(e, changes);
    ++txns_applied_;
    while (!pending_.empty() && pending_.front().index <= e.index) {
      auto mine = std::move(pending_.front());
      pending_.pop_front();
      if (mine.index == e.index && mine.term == e.term) {
        answer(mine.sink, mine.ticket, std::move(r));
      } else {
        store::txn_result lost;
        lost.rev = machine_->rev();
        lost.error = errors::unavailable("the write was replaced by another leader's: it did not happen");
        answer(mine.sink, mine.ticket, std::move(lost));
      }
    }
  }
  mark_.at = {entries.back().index, entries.back().term};
  mark_.rev = machine_->rev();
  if (changes.empty()) return;
  published_->set(machine_->snapshot());
  hub_->append(changes, machine_->rev());
  unsaved_.insert(unsaved_.end(), std::make_move_iterator(changes.begin()), std::make_move_iterator(changes.end()));
  arm_maintenance();
}

void raft_state::fail_pending(log_index from, const status& why) {
  while (!pending_.empty() && pending_.back().index >= from) {
    store::txn_result r;
    r.rev = machine_->rev();
    r.error = why;
    answer(pending_.back().sink, pending_.back().ticket, std::move(r));
    pending_.pop_back();
  }
}

// ---------------------------------------------------------------- answers

void raft_state::answer(const txn_sink_actor& sink, std::uint64_t ticket, store::txn_result&& r) {
  auto it = std::find_if(answers_.begin(), answers_.end(), [&](const answers& a) { return a.sink == sink; });
  if (it == answers_.end()) it = answers_.insert(answers_.end(), answers{sink, std::make_shared<txns_done>()});
  it->batch->items.emplace_back(ticket, std::move(r));
}

void raft_state::flush_answers() {
  for (auto& a : answers_)
    caf::anon_send(a.sink, std::move(a.batch));
  answers_.clear();
}

// ---------------------------------------------------------------- maintenance and stop

void raft_state::arm_maintenance() {
  if (maintenance_armed_ || closing_) return;
  maintenance_armed_ = true;
  const auto every =
      std::clamp<raft::duration>(options_.retention / 4, std::chrono::milliseconds(100), limits::maintain_every_max);
  self_->delayed_send(self_, every, maintain_tick::value);
}

void raft_state::flush_unsaved(bool close) {
  auto job = std::make_shared<write_job>();
  job->group.changes = std::exchange(unsaved_, {});
  job->group.applied = mark_;
  job->close = close;
  flush_out_ = true;
  self_->send(writer_, std::move(job), write_sink_actor(self_));
}

/// Runs while there is something to forget; an idle store with nothing old arms no timer.
void raft_state::on_maintain() {
  maintenance_armed_ = false;
  if (closing_) return;
  if (!unsaved_.empty() && !flush_out_ && pending_.empty()) flush_unsaved(false);
  samples_.emplace_back(now(), machine_->rev());
  store::revision target = 0;
  while (!samples_.empty() && samples_.front().first + options_.retention <= now()) {
    target = samples_.front().second;
    samples_.pop_front();
  }
  target = std::min(target, saved_rev_); // the history of what is not on disk yet cannot be compacted
  if (target > disk_->horizon()) {
    self_->spawn<caf::linked + caf::detached>([disk = disk_, target](caf::event_based_actor*) {
      for (;;) {
        auto more = disk->compact(target);
        if (!more) spdlog::error("raft: {}", more.error().message);
        if (!more || !*more) break;
      }
      ::malloc_trim(0); // old versions lay between live ones: glibc keeps their pages until told
    });
  }
  if (machine_->rev() > disk_->horizon() || !unsaved_.empty()) arm_maintenance();
}

void raft_state::on_stop(caf::typed_response_promise<bool> answer) {
  if (closed_) {
    answer.deliver(true);
    return;
  }
  stopping_.push_back(std::move(answer));
  finish_stop();
}

void raft_state::finish_stop() {
  if (closed_) {
    for (auto& p : stopping_)
      p.deliver(!write_error_.has_value());
    stopping_.clear();
    return;
  }
  if (closing_ || !gathered_.empty() || !pending_.empty()) return;
  closing_ = true;
  flush_unsaved(true);
}

state_copy_ptr raft_state::copy() {
  auto out = std::make_shared<state_copy>();
  out->cluster_id = disk_->cluster_id();
  out->at = mark_.at;
  out->config = mark_.config;
  out->view = machine_->snapshot();
  return out;
}

std::string raft_state::status_json() const {
  static constexpr const char* names[] = {"follower", "pre-candidate", "candidate", "leader"};
  const auto& log = core_->log();
  json::array members;
  for (auto id : raft::all_members(core_->config())) {
    json::object m{{"id", id.v}, {"voter", raft::is_voter(core_->config(), id)}, {"self", id == options_.member}};
    if (auto it = core_->members().find(id); it != core_->members().end()) m["match"] = it->second.match.v;
    members.push_back(std::move(m));
  }
  json::object out{
      {"role", names[static_cast<int>(core_->role_now())]},
      {"member", options_.member.v},
      {"leader", core_->leader().v},
      {"term", core_->term().v},
      {"commitIndex", log.commit().v},
      {"appliedIndex", log.applied().v},
      {"durableIndex", log.stable().v},
      {"lastIndex", log.last().index.v},
      {"firstIndex", log.base().index.v + 1},
      {"revision", machine_->rev()},
      {"compactedRevision", disk_->horizon()},
      {"pending", pending_.size()},
      {"entriesApplied", txns_applied_},
      {"groupsWritten", groups_written_},
      {"lastWriteMicros", std::chrono::duration_cast<std::chrono::microseconds>(last_write_).count()},
      {"slowestWriteMicros", std::chrono::duration_cast<std::chrono::microseconds>(slowest_write_).count()},
      {"watchWindowBytes", hub_->bytes()},
      {"cluster", disk_->cluster_id()},
      {"members", std::move(members)}};
  if (write_error_) out["writeError"] = write_error_->message;
  return json::serialize(out);
}

} // namespace troupe
