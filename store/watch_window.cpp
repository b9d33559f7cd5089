#include "store/watch_window.hpp"

#include "store/mutations.hpp"

#include <algorithm>
#include <shared_mutex>

namespace troupe::store {

const std::string& event::line() const {
  std::call_once(once_, [this] {
    static constexpr std::string_view heads[] = {R"({"type":"ADDED","object":)", R"({"type":"MODIFIED","object":)",
                                                 R"({"type":"DELETED","object":)"};
    const auto head = heads[static_cast<std::size_t>(type)];
    line_.reserve(head.size() + current->bytes.size() + 2);
    line_.append(head).append(current->bytes).append("}\n");
  });
  return line_;
}

namespace {

/// The object and, once a watcher asked for it, the line: count both from the start, so that bounds hold.
std::size_t cost(const event& e) { return 2 * e.current->bytes.size() + sizeof(event) + sizeof(object); }

} // namespace

struct watch_window::waiter {
  std::function<void()> wake;
  bool armed = false;
};

struct watch_window::table {
  std::string name;
  mutable std::mutex events_lock;
  std::deque<event_ptr> events; // ascending revisions
  revision floor = 0;           // a cursor below it may have missed something
  std::size_t bytes = 0;
  std::mutex waiters_lock; // taken before events_lock where both are
  std::vector<waiter*> waiters;

  std::deque<event_ptr>::const_iterator first_after(revision cursor) const {
    return std::upper_bound(events.begin(), events.end(), cursor, [](revision c, const event_ptr& e) {
      return c < e->rev + mutated(mutation::repeat_event);
    });
  }
  bool has_after(revision cursor, revision seen) const {
    std::lock_guard g(events_lock);
    auto it = first_after(cursor);
    return cursor < floor || (it != events.end() && (*it)->rev <= seen);
  }
};

class watch_window::handle final : public subscription {
public:
  handle(std::shared_ptr<table> t, std::shared_ptr<const std::atomic<revision>> seen, std::function<void()> wake)
      : table_(std::move(t)), seen_(std::move(seen)) {
    me_.wake = std::move(wake);
    std::lock_guard g(table_->waiters_lock);
    table_->waiters.push_back(&me_);
  }
  ~handle() override {
    std::lock_guard g(table_->waiters_lock);
    auto& all = table_->waiters;
    auto it = std::find(all.begin(), all.end(), &me_);
    *it = all.back();
    all.pop_back();
  }
  void arm(revision cursor) override {
    std::lock_guard g(table_->waiters_lock);
    me_.armed = !table_->has_after(cursor, seen_->load(std::memory_order_acquire));
    if (!me_.armed) me_.wake();
  }

private:
  std::shared_ptr<table> table_;
  std::shared_ptr<const std::atomic<revision>> seen_;
  waiter me_;
};

watch_window::watch_window(bounds b) : bounds_(b) {}
watch_window::~watch_window() = default;

void watch_window::start(revision floor, revision seen) {
  floor_.store(floor);
  std::vector<std::shared_ptr<table>> all;
  {
    std::shared_lock g(tables_lock_);
    for (const auto& [name, t] : tables_)
      all.push_back(t);
  }
  for (const auto& t : all) {
    std::lock_guard g(t->events_lock);
    bytes_.fetch_sub(t->bytes, std::memory_order_relaxed);
    t->bytes = 0;
    t->events.clear();
    if (!mutated(mutation::forget_silently)) t->floor = floor;
  }
  seen_->store(seen, std::memory_order_release);
  for (const auto& t : all) { // whoever waits behind the floor is to be told so
    std::lock_guard g(t->waiters_lock);
    for (auto* w : t->waiters)
      if (std::exchange(w->armed, false)) w->wake();
  }
}

std::shared_ptr<watch_window::table> watch_window::find(std::string_view name) const {
  std::shared_lock g(tables_lock_);
  auto it = tables_.find(name);
  return it == tables_.end() ? nullptr : it->second;
}

std::shared_ptr<watch_window::table> watch_window::find_or_make(std::string_view name) {
  if (auto t = find(name)) return t;
  std::lock_guard g(tables_lock_);
  auto& slot = tables_[std::string(name)];
  if (!slot) {
    slot = std::make_shared<table>();
    slot->name = name;
    slot->floor = floor_.load();
  }
  return slot;
}

/// Drops the oldest revision whole: half a transaction must never be served. Called with events_lock held.
void watch_window::forget_oldest(table& t) {
  const auto rev = t.events.front()->rev;
  while (!t.events.empty() && t.events.front()->rev == rev) {
    const auto c = cost(*t.events.front());
    t.bytes -= c;
    bytes_.fetch_sub(c, std::memory_order_relaxed);
    t.events.pop_front();
  }
  if (!mutated(mutation::forget_silently)) t.floor = rev;
}

void watch_window::shrink_to_hub_limit() {
  while (bytes_.load(std::memory_order_relaxed) > bounds_.hub_bytes_max) {
    std::shared_ptr<table> largest;
    {
      std::shared_lock g(tables_lock_);
      for (const auto& [name, t] : tables_)
        if (!largest || t->bytes > largest->bytes) largest = t;
    }
    if (!largest || largest->bytes == 0) return;
    std::lock_guard g(largest->events_lock);
    for (int i = 0; i < 64 && !largest->events.empty(); ++i)
      forget_oldest(*largest);
  }
}

void watch_window::append(const std::vector<change_record>& changes, revision seen, revision at) {
  std::vector<std::shared_ptr<table>> touched;
  for (std::size_t i = 0; i < changes.size();) {
    auto t = find_or_make(*changes[i].table);
    std::lock_guard g(t->events_lock);
    for (; i < changes.size() && *changes[i].table == t->name; ++i) {
      auto e = std::make_shared<event>();
      e->type = changes[i].what;
      e->rev = at != 0 ? at : changes[i].current->mod;
      e->current = changes[i].current;
      e->previous = changes[i].previous;
      const auto c = cost(*e);
      t->bytes += c;
      bytes_.fetch_add(c, std::memory_order_relaxed);
      t->events.push_back(std::move(e));
    }
    while (t->events.size() > bounds_.events_max || t->bytes > bounds_.bytes_max) {
      if (t->events.front()->rev == t->events.back()->rev) break; // one transaction larger than the window stays whole
      forget_oldest(*t);
    }
    if (std::find(touched.begin(), touched.end(), t) == touched.end()) touched.push_back(std::move(t));
  }
  shrink_to_hub_limit();
  seen_->store(seen, std::memory_order_release);
  for (const auto& t : touched) {
    std::lock_guard g(t->waiters_lock);
    for (auto* w : t->waiters)
      if (std::exchange(w->armed, false)) w->wake();
  }
}

pull_result watch_window::pull(std::string_view name, revision cursor, std::size_t limit) const {
  pull_result out;
  const auto seen = seen_->load(std::memory_order_acquire); // before the events: all up to it are in
  out.upto = std::max(cursor, seen);
  auto t = find(name);
  if (!t) {
    const auto floor = floor_.load();
    if (cursor < floor) out.too_old = true, out.oldest = floor, out.upto = cursor;
    return out;
  }
  std::lock_guard g(t->events_lock);
  if (cursor < t->floor) {
    out.too_old = true;
    out.oldest = t->floor;
    out.upto = cursor;
    return out;
  }
  auto from = t->first_after(cursor);
  const auto last = t->events.end();
  // Not beyond `seen`: the rest of that transaction may still be on its way into the table.
  for (; from != last && (*from)->rev <= seen; ++from) {
    const bool same_txn = !out.events.empty() && out.events.back()->rev == (*from)->rev;
    if (out.events.size() >= limit && (!same_txn || mutated(mutation::split_revision))) break;
    out.events.push_back(*from);
  }
  if (!out.events.empty())
    out.upto = from == last || mutated(mutation::bookmark_ahead) ? std::max(out.events.back()->rev, out.upto)
                                                                 : out.events.back()->rev;
  return out;
}

std::unique_ptr<subscription> watch_window::subscribe(std::string_view name, std::function<void()> wake) {
  return std::make_unique<handle>(find_or_make(name), seen_, std::move(wake));
}

} // namespace troupe::store
