// The writes of this member's proposers: into the log when it leads, to the leader otherwise, and back as answers.
#include "actors/raft/limits.hpp"
#include "actors/raft/raft_state.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace troupe {

using store::member_id;

void raft_state::on_propose(propose_ptr& p, const txn_sink_actor& sink) {
  if (counters_) counters_->touch(self_);
  store::txn_result refused;
  refused.rev = machine_->rev();
  if (!stopping_.empty() || closed_) {
    refused.error = errors::unavailable("the store is stopping");
  } else if (!out_of_service_.empty()) {
    refused.error = errors::unavailable(out_of_service_);
  } else if (ledger_.size() >= limits::pending_txns_max) {
    refused.error = errors::too_many_requests("too many writes are waiting for the disk", 1);
  } else if (auto fine = store::check(p->change); !fine) {
    refused.error = fine.error();
  } else {
    const auto id = ledger_.add(store::encode_txn(p->change), now());
    waiters_.emplace(id.number, waiter{p->ticket, sink});
    return;
  }
  answer(sink, p->ticket, std::move(refused));
}

void raft_state::settle() {
  // What comes in one go leaves in one go: one batch into the log, one parcel per member. But not for ever.
  const bool more = !self_->mailbox().empty() && ++deferred_ < limits::deferred_messages_max;
  if (!more) deferred_ = 0;
  if (ledger_.ready() && (!more || ledger_.waiting() >= limits::gathered_txns_max)) submit();
  if (ledger_.size() > 0) arm_patience();
  flush_answers();
  if (!more) flush_parcels();
}

namespace {
std::vector<raft::write_id> ids_of(const std::vector<raft::bytes_ptr>& payloads) {
  std::vector<raft::write_id> out;
  std::string_view txn;
  for (const auto& p : payloads)
    if (raft::write_id id; raft::split_write(*p, id, txn)) out.push_back(id);
  return out;
}
} // namespace

/// Who cannot write takes no writes, whoever leads: of what it does not hold itself it cannot say more than it hears.
result<void> raft_state::takes_writes() const {
  if (!stuck_on_) return disk_->room();
  if (stuck_on_->code == 507) return *stuck_on_;
  return errors::unavailable("the disk of this master (member " + std::to_string(options_.member.v) +
                             ") takes no writes: " + stuck_on_->message);
}

/// What waits goes into the log, or to the leader; without a leader it goes on waiting.
void raft_state::submit() {
  if (now() < hold_until_) return;
  const bool leads = core_->role_now() == raft::role::leader;
  if (!leads && !(core_->leader() && options_.transport)) return;
  // Known before anybody has it: a full disk is a clear answer, neither a leader that steps down nor an unknown fate.
  if (auto room = takes_writes(); !room) {
    if (leads) make_way();
    return refuse_waiting(room.error());
  }
  there_is_room();
  if (leads)
    append_waiting();
  else
    forward(core_->leader());
}

/// Others may have room where this leader has none: then one of them is to lead, another one each time. Where all disks
/// are full the leadership moves ever more seldom. True while it is on its way.
bool raft_state::make_way() {
  if (core_->transferring() || now() < make_way_at_) return core_->transferring();
  auto to = best_successor(made_way_for_);
  if (!to) {
    made_way_for_.clear();
    to = best_successor();
  }
  if (!to) return false;
  made_way_for_.push_back(to);
  make_way_pause_ =
      std::clamp<raft::duration>(2 * make_way_pause_, limits::make_way_pause_min, limits::make_way_pause_max);
  make_way_at_ = now() + make_way_pause_;
  log_->warn("the disk is full: hands leadership to member {}, which may have room", to.v);
  step(raft::transfer_leadership{to});
  return core_->transferring();
}

void raft_state::there_is_room() {
  made_way_for_.clear();
  make_way_at_ = raft::instant{0};
  make_way_pause_ = {};
}

void raft_state::refuse_waiting(const status& why) {
  while (ledger_.ready())
    for (const auto& id :
         ids_of(ledger_.take_ready(core_->term(), 0, limits::gathered_txns_max, limits::uncommitted_bytes_max)))
      refuse(id.number, why);
}

void raft_state::append_waiting() {
  const auto term = core_->term();
  raft::propose_entries e;
  e.payloads = ledger_.take_ready(term, 0, limits::gathered_txns_max, limits::uncommitted_bytes_max);
  if (e.payloads.empty()) return;
  auto out = core_->step(e, now());
  if (!out.accepted) {
    const bool full = out.refused == raft::refusal::overloaded;
    const auto ids = ids_of(e.payloads);
    ledger_.refused(ids, term, 0);
    hold_until_ = now() + limits::refused_pause;
    for (const auto& id : ids)
      if (full) refuse(id.number, errors::too_many_requests("too many writes are waiting for the disk", 1));
  }
  perform(std::move(out));
}

void raft_state::forward(member_id leader) {
  while (ledger_.ready()) {
    raft::forward_writes f;
    f.term = core_->term();
    f.batch = {ledger_.life(), ++forwarded_};
    f.payloads = ledger_.take_ready(f.term, f.batch.number, limits::gathered_txns_max, limits::forward_bytes_max);
    if (f.payloads.empty()) return;
    parcel_to(leader).forwards.push_back(std::move(f));
    flush_parcels(); // one batch per parcel keeps them small
  }
}

/// Of another member: appended if this one leads in the very term the sender believes in, else certainly not.
/// An attempt of a term that this process cannot vouch for, because it was begun by then, is left to its sender's
/// patience: a former life may have appended it.
void raft_state::take_forwards(member_id from, raft::forward_writes& f) {
  if (f.term <= first_term_ || !met_.first(f.batch)) return;
  auto why = raft::refusal::not_leader;
  raft::effects out;
  if (core_->role_now() == raft::role::leader && core_->term() == f.term && out_of_service_.empty()) {
    raft::propose_entries e;
    e.payloads = f.payloads;
    e.from = from;
    if (disk_->room()) {
      out = core_->step(e, now());
      why = out.accepted ? raft::refusal::none : out.refused;
    } else {
      why = make_way() ? raft::refusal::transferring : raft::refusal::no_space;
    }
  }
  if (why != raft::refusal::none) {
    parcel_to(from).refusals.push_back({f.term, why, f.batch, ids_of(f.payloads)});
  }
  perform(std::move(out));
}

/// They did not happen: they wait for a better moment, unless waiting is no help.
void raft_state::take_refusal(const raft::refused_writes& r) {
  if (r.batch.life != ledger_.life()) return;
  const auto waiting = ledger_.refused(r.ids, r.term, r.batch.number);
  hold_until_ = now() + limits::refused_pause;
  if (r.why != raft::refusal::no_space) return;
  for (const auto number : waiting)
    refuse(number,
           errors::insufficient_storage("the disk of the leading master (member " + std::to_string(core_->leader().v) +
                                        ") is full: writes are refused until there is space; reads go on"));
}

void raft_state::on_parcel(raft::parcel& p) {
  if (counters_) counters_->touch(self_);
  if (p.to != options_.member || closed_) return;
  for (auto& m : p.messages)
    step(raft::receive{std::move(m)});
  for (auto& f : p.forwards)
    take_forwards(p.from, f);
  for (const auto& r : p.refusals)
    take_refusal(r);
  for (const auto& h : p.hashes)
    if (check_ && check_->at == h.at) check_->hashes[p.from] = h.hash;
  if (!p.hashes.empty()) compare_hashes();
  for (const auto& v : p.verdicts)
    take_verdict(v);
}

// ---------------------------------------------------------------- patience

void raft_state::arm_patience() {
  if (patience_armed_) return;
  patience_armed_ = true;
  self_->delayed_send(self_, limits::patience_every, patience_tick::value);
}

/// Runs only while something waits: for a leader, for its answer, or for the end of a command.
void raft_state::on_patience() {
  patience_armed_ = false;
  const auto t = now();
  for (const auto& late : ledger_.overdue(t - options_.timing.leader_patience, t - limits::fate_patience)) {
    refuse(late.number, late.sent ? errors::timeout("the group did not confirm the write in time; whether it took "
                                                    "effect is not known: read before you try again")
                                  : no_leader());
  }
  fail_late_barriers();
  settle_commands();
  if (!stopping_.empty()) finish_stop();
  if (ledger_.size() > 0 || !barriers_.empty() || !commands_.empty() || !stopping_.empty()) arm_patience();
}

status raft_state::no_leader() const {
  auto s = errors::unavailable("the group of masters has no leader: member " + std::to_string(options_.member.v) +
                               " cannot reach a majority of the " + std::to_string(core_->config().voters.size()) +
                               " voters, so nothing was written; reads with resourceVersion=0 still work");
  s.retry_after_s = 1;
  return s;
}

// ---------------------------------------------------------------- answers

void raft_state::finish_write(std::uint64_t number, store::txn_result&& r) {
  auto it = waiters_.find(number);
  if (it == waiters_.end()) return;
  answer(it->second.sink, it->second.ticket, std::move(r));
  waiters_.erase(it);
}

void raft_state::refuse(std::uint64_t number, const status& why) {
  ledger_.drop(number);
  store::txn_result r;
  r.rev = machine_->rev();
  r.error = why;
  finish_write(number, std::move(r));
}

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

// ---------------------------------------------------------------- parcels

raft::parcel& raft_state::parcel_to(member_id who) {
  auto& slot = outbox_[who];
  if (!slot) {
    slot = std::make_shared<raft::parcel>();
    slot->from = options_.member;
    slot->to = who;
  }
  return *slot;
}

void raft_state::post(std::vector<raft::message>& messages) {
  if (!options_.transport) return;
  for (auto& m : messages)
    parcel_to(m.to).messages.push_back(std::move(m));
}

void raft_state::flush_parcels() {
  if (!options_.transport) {
    outbox_.clear();
    return;
  }
  for (auto& [who, p] : std::exchange(outbox_, {}))
    options_.transport->send(std::move(p));
}

} // namespace troupe
