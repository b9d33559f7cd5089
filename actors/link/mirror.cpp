#include "actors/link/mirror.hpp"

#include "actors/link/link_limits.hpp"

namespace troupe::link {

namespace {

status senseless(const char* what) { return errors::bad_request(std::string("the feed makes no sense: ") + what); }

bool before(const store::object& a, const store::object& b) { return store::tree::compare(a, b.ns, b.name) < 0; }

} // namespace

mirror::mirror()
    : published_(std::make_shared<store::published_view>(
          std::make_shared<const store::state_view>(std::vector<store::table_root>{}, 0))),
      window_(std::make_shared<store::watch_window>(store::watch_window::bounds{
          limits::link::mirror_events_max, limits::link::mirror_bytes_max, 4 * limits::link::mirror_bytes_max})) {
  window_->start(0, 0);
}

void mirror::begin() {
  events_.clear();
  whole_.clear();
  in_table_ = false;
}

void mirror::start_over() {
  begin();
  starting_over_ = rev_ > 0;
}

result<void> mirror::on(const table_begin& m) {
  if (in_table_) return senseless("a table begins inside another");
  for (const auto& t : whole_)
    if (t.name == m.table) return senseless("a table comes twice in one step");
  in_table_ = true;
  whole_.push_back({m.table, {}});
  return {};
}

result<void> mirror::on(table_objects&& m) {
  if (!in_table_) return senseless("objects of no table");
  auto& all = whole_.back().objects;
  for (auto& o : m.objects) {
    if (!all.empty() && !before(*all.back(), *o)) return senseless("objects out of order");
    all.push_back(std::move(o));
  }
  return {};
}

result<void> mirror::on(const table_end&) {
  if (!in_table_) return senseless("the end of no table");
  in_table_ = false;
  return {};
}

result<void> mirror::on(feed_events&& m) {
  if (in_table_) return senseless("events inside a table");
  if (starting_over_) return senseless("events of a state that was not told");
  for (auto& e : m.events) {
    if (e.rev <= rev_ || (!events_.empty() && e.rev < events_.back().rev))
      return senseless("an event that lies before what was told already");
    events_.push_back(std::move(e));
  }
  return {};
}

result<void> mirror::on(const feed_commit& m) {
  if (in_table_) return senseless("a table without an end");
  if (starting_over_) return renew(m.upto), result<void>{};
  if (m.upto < rev_ || (!events_.empty() && m.upto < events_.back().rev)) return senseless("a revision goes backward");
  std::vector<step> steps;
  for (const auto& e : events_)
    apply(e, steps);
  for (const auto& t : whole_)
    replace(t, m.upto, steps);
  relists_ += whole_.size();
  begin();
  publish(std::move(steps), m.upto);
  return {};
}

mirror::table& mirror::table_of(const std::string& name) {
  auto& t = tables_[name];
  if (!t.name) t.name = std::make_shared<const std::string>(name);
  return t;
}

void mirror::put(table& t, store::object_ptr o, step& out) {
  auto old = t.objects.put(o, stamp_);
  const auto what = old ? store::event_type::modified : store::event_type::added;
  out.changes.push_back({t.name, what, std::move(o), std::move(old)});
}

void mirror::erase(table& t, const store::object& last, step& out) {
  auto old = t.objects.erase(last.ns, last.name, stamp_);
  if (old) out.changes.push_back({t.name, store::event_type::deleted, old, old});
}

/// An event is news only when it says more than we hold: a feed may tell of an object's last state twice.
void mirror::apply(const feed_event& e, std::vector<step>& out) {
  auto& t = table_of(e.table);
  const auto held = t.objects.get(e.object->ns, e.object->name);
  if (out.empty() || out.back().at != e.rev) out.push_back({e.rev, {}});
  if (e.type != store::event_type::deleted) {
    if (!held || held->mod < e.object->mod) put(t, e.object, out.back());
    return;
  }
  if (!held || held->mod > e.rev) return;
  erase(t, *held, out.back());
  // Bytes carry the deletion's revision; without any, the object is only out of this node's sight.
  if (!e.object->bytes.empty()) out.back().changes.back().current = e.object;
}

/// Both sides are ordered by namespace and name: one walk finds what came, went and changed.
void mirror::replace(const whole_table& whole, store::revision upto, std::vector<step>& out) {
  auto& t = table_of(whole.name);
  std::vector<store::object_ptr> held;
  held.reserve(t.objects.size());
  t.objects.visit({}, {}, false, [&](const store::object_ptr& o) {
    held.push_back(o);
    return true;
  });
  if (out.empty() || out.back().at != upto) out.push_back({upto, {}});
  auto& now = out.back();
  auto old = held.begin();
  for (const auto& o : whole.objects) {
    for (; old != held.end() && before(**old, *o); ++old)
      erase(t, **old, now);
    if (old == held.end() || before(*o, **old)) {
      put(t, o, now);
      continue;
    }
    if ((*old)->mod != o->mod) {
      if ((*old)->created != o->created) erase(t, **old, now); // another object of that name
      put(t, o, now);
    }
    ++old;
  }
  for (; old != held.end(); ++old)
    erase(t, **old, now);
}

std::vector<store::table_root> mirror::roots() const {
  std::vector<store::table_root> out;
  out.reserve(tables_.size());
  for (const auto& [name, t] : tables_)
    out.push_back({t.name, t.objects});
  return out;
}

/// Nothing is compared with what was held: the same revision may be another state.
void mirror::renew(store::revision upto) {
  tables_.clear();
  for (auto& w : whole_)
    table_of(w.name).objects = store::tree::of_sorted(std::move(w.objects), stamp_);
  relists_ += whole_.size();
  begin();
  starting_over_ = false;
  ++stamp_;
  rev_ = upto;
  published_->set(std::make_shared<const store::state_view>(roots(), upto));
  window_->start(upto, upto);
}

/// The view first: whoever is woken by an event finds in it at least what the event says.
void mirror::publish(std::vector<step> steps, store::revision upto) {
  ++stamp_;
  rev_ = upto;
  published_->set(std::make_shared<const store::state_view>(roots(), upto));
  for (const auto& s : steps)
    if (!s.changes.empty()) window_->append(s.changes, s.at, s.at);
  window_->append({}, upto);
}

} // namespace troupe::link
