#include "actors/scheduler/schedule_queue.hpp"

#include <algorithm>

namespace troupe::sched {

void schedule_queue::leave(const std::string& uid, entry& e) {
  if (e.where == place::active) active_.erase({-e.pod->priority, e.order, uid});
  if (e.where == place::backoff || e.where == place::unschedulable) timed_.erase({e.due, uid});
  if (e.where == place::unschedulable) --unschedulable_;
  e.where = place::out;
}

void schedule_queue::enter(const std::string& uid, entry& e, place where, sys_micros due) {
  e.where = where;
  e.due = due;
  if (where == place::active) active_.insert({-e.pod->priority, e.order, uid});
  if (where == place::backoff || where == place::unschedulable) timed_.insert({due, uid});
  if (where == place::unschedulable) ++unschedulable_;
}

namespace {
/// Status and metadata noise apart, is this still the same question to the planner?
bool same_question(const pod_request& a, const pod_request& b) {
  auto same_amounts = [](const amounts& x, const amounts& y) {
    return x.cpu == y.cpu && x.memory == y.memory && x.ephemeral == y.ephemeral && x.extended == y.extended;
  };
  return a.labels == b.labels && a.gates == b.gates && a.priority == b.priority && same_amounts(a.needs, b.needs) &&
         a.node_selector == b.node_selector && a.tolerations.size() == b.tolerations.size();
}
} // namespace

void schedule_queue::put(const pod_ptr& p, sys_micros now) {
  auto [it, fresh] = entries_.try_emplace(p->uid);
  auto& e = it->second;
  if (!fresh && e.pod && e.where != place::out && same_question(*e.pod, *p)) {
    e.pod = p;
    return;
  }
  if (fresh) e.order = next_order_++;
  leave(p->uid, e);
  e.pod = p;
  if (!p->gates.empty())
    enter(p->uid, e, place::gated);
  else if (e.not_before > now)
    enter(p->uid, e, place::backoff, e.not_before);
  else
    enter(p->uid, e, place::active);
}

void schedule_queue::remove(std::string_view uid) {
  auto it = entries_.find(std::string{uid});
  if (it == entries_.end()) return;
  leave(it->first, it->second);
  entries_.erase(it);
}

void schedule_queue::clear() {
  entries_.clear();
  active_.clear();
  timed_.clear();
  unschedulable_ = 0;
}

pod_ptr schedule_queue::pop() {
  if (active_.empty()) return nullptr;
  auto uid = std::get<2>(*active_.begin());
  auto& e = entries_.at(uid);
  leave(uid, e);
  ++e.attempts;
  return e.pod;
}

sys_micros schedule_queue::backoff_end(const entry& e, sys_micros now) const {
  auto wait = options_.backoff_initial;
  for (unsigned i = 1; i < e.attempts && wait < options_.backoff_max; ++i)
    wait *= 2;
  return now + std::min(wait, options_.backoff_max);
}

void schedule_queue::refused(const pod_ptr& p, sys_micros now) {
  auto& e = entries_[p->uid];
  leave(p->uid, e);
  e.pod = p;
  e.not_before = backoff_end(e, now);
  enter(p->uid, e, place::unschedulable, now + options_.unschedulable_retry);
}

void schedule_queue::retry(const pod_ptr& p, sys_micros now) {
  auto& e = entries_[p->uid];
  leave(p->uid, e);
  e.pod = p;
  if (e.attempts == 0) e.attempts = 1;
  e.not_before = backoff_end(e, now);
  enter(p->uid, e, place::backoff, e.not_before);
}

void schedule_queue::done(std::string_view uid) { remove(uid); }

void schedule_queue::move(sys_micros now, const std::function<bool(const pod_request&)>& pred) {
  if (unschedulable_ == 0) return;
  for (auto& [uid, e] : entries_) {
    if (e.where != place::unschedulable || (pred && !pred(*e.pod))) continue;
    leave(uid, e);
    if (e.not_before > now)
      enter(uid, e, place::backoff, e.not_before);
    else
      enter(uid, e, place::active);
  }
}

std::optional<sys_micros> schedule_queue::flush(sys_micros now) {
  while (!timed_.empty() && timed_.begin()->first <= now) {
    auto uid = timed_.begin()->second;
    auto& e = entries_.at(uid);
    leave(uid, e);
    enter(uid, e, place::active);
  }
  if (timed_.empty()) return std::nullopt;
  return timed_.begin()->first;
}

} // namespace troupe::sched
