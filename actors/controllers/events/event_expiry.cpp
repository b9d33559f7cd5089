#include "actors/controllers/events/event_expiry.hpp"

#include "actors/controllers/limits.hpp"

namespace troupe::ctl {

namespace {
constexpr std::string_view sweep = "sweep";
}

void event_expiry::remember(const store::object& o, sys_micros now) {
  entries_.push_back({now, o.mod, o.ns, o.name});
  queue.add_at(sweep, entries_.front().at + ttl_);
}

void event_expiry::observe(const change& c, const cluster_cache&, sys_micros now) {
  if (c.table == "events" && c.raw_after) remember(*c.raw_after, now);
}

void event_expiry::relisted(std::string_view table, const store::view& now_view, sys_micros now) {
  if (table != "events") return;
  entries_.clear();
  now_view.scan(table, {}, [&](const store::object_ptr& o) {
    remember(*o, now);
    return true;
  });
}

outcome event_expiry::reconcile(const std::string&, const world& w) {
  outcome out;
  while (!entries_.empty() && entries_.front().at + ttl_ <= w.now &&
         out.actions.size() < limits::deletions_per_look_max) {
    auto e = std::move(entries_.front());
    entries_.pop_front();
    auto o = w.live.get("events", e.ns, e.name);
    if (!o || o->mod != e.mod) continue;
    auto a = act::remove(refs::events, e.ns, e.name, o->meta().uid);
    a.lenient = a.untracked = true;
    out.actions.push_back(std::move(a));
  }
  if (!entries_.empty()) out.wake(std::max(w.now, entries_.front().at + ttl_));
  return out;
}

} // namespace troupe::ctl
