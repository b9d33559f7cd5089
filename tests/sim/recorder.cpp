#include "tests/sim/recorder.hpp"

namespace troupe::sim {

void recorder::stored(stored_entry e) {
  e.when = now();
  mix(e.member.v, e.index.v, e.term.v, e.payload);
  log.stored.push_back(e);
}

void recorder::applied(applied_entry e) {
  e.when = now();
  ++sums.applied;
  mix(e.member.v, e.index.v, e.term.v, e.payload, e.rev, e.state);
  log.applied.push_back(e);
}

void recorder::adopted(state_adopted s) {
  s.when = now();
  if (s.snapshot)
    ++sums.snapshots;
  else
    ++sums.starts;
  mix(s.member.v, s.life, s.index.v, s.rev, s.state);
  log.adopted.push_back(s);
}

void recorder::stopped(member_id m, std::uint32_t life) {
  member_stopped s{now(), m, life};
  mix(m.v, life);
  log.stopped.push_back(s);
}

void recorder::role(role_change r) {
  r.when = now();
  mix(r.member.v, r.life, static_cast<int>(r.now), r.term.v, r.leader.v, r.serving);
  log.roles.push_back(r);
}

void recorder::claim(member_id m, log_term term) {
  if (last_claim_ == std::pair{term, m}) return;
  last_claim_ = {term, m};
  if (!claims_.emplace(term, m).second) return;
  ++sums.elections;
  log.claims.push_back({now(), m, term});
  mix(m.v, term.v);
}

void recorder::changed(change c) {
  c.when = now();
  mix(c.rev, c.index.v, c.key, c.content);
  log.changes.push_back(c);
}

void recorder::acked(acknowledged a) {
  a.when = now();
  mix(a.member.v, a.client, a.key, a.rev, a.content);
  log.acks.push_back(a);
}

void recorder::watched(watch_step w) {
  w.when = now();
  if (w.what == watch_step::kind::event) ++sums.watch_events;
  mix(w.watcher, w.member.v, static_cast<int>(w.what), w.rev, w.key, w.content);
  log.watches.push_back(w);
}

void recorder::fault_began(std::string what) {
  fault f{now(), std::move(what)};
  ++sums.faults;
  mix(hash_of(f.what));
  log.faults.push_back(std::move(f));
}

std::size_t recorder::invoked(operation op) {
  op.invoked = now();
  ++sums.operations;
  mix(op.client, op.member.v, op.unit, static_cast<int>(op.what));
  log.operations.push_back(std::move(op));
  return log.operations.size() - 1;
}

void recorder::completed(std::size_t at, outcome result, std::vector<slot_value> seen, revision rev) {
  auto& op = log.operations[at];
  op.completed = now();
  op.result = result;
  op.seen = std::move(seen);
  op.seen_rev = rev;
  mix(at, static_cast<int>(result), rev);
  for (const auto& s : op.seen)
    mix(s.slot, s.value);
}

} // namespace troupe::sim
