#include "tests/sim/checkers/checkers.hpp"

#include <algorithm>
#include <deque>
#include <map>

namespace troupe::sim {

namespace {

/// Every watcher holds a place in the list of its table's changes; each event must be the change at that place. So one
/// comparison finds events that are missing, repeated, out of order, altered or invented.
class watch_guarantees_checker final : public checker {
public:
  watch_guarantees_checker() : checker("watch guarantees") {}

  void take(const change& c) override {
    auto& t = tables_[c.table];
    t.changes.push_back(c);
    if (t.changes.size() <= kept_max) return;
    t.changes.pop_front();
    ++t.dropped;
  }

  void take(const watch_step& s) override {
    auto& w = watchers_[s.watcher];
    w.last = s;
    switch (s.what) {
    case watch_step::kind::listed: listed(w, s); break;
    case watch_step::kind::event: event(w, s); break;
    case watch_step::kind::bookmark: bookmark(w, s); break;
    case watch_step::kind::resumed: resumed(w, s); break;
    case watch_step::kind::too_old: w.lists = true; break;
    }
  }

  /// Once the group has healed and settled, a watcher that still runs has what was written before.
  void finish(const history& h) override {
    if (!h.end.healed || !h.end.converged_at) return;
    for (const auto& [id, w] : watchers_) {
      const auto* c = next(w);
      if (c && c->when.at <= h.end.healed_at)
        wrong(who(w.last) + " never got " + say(*c) + ", written before the group healed");
    }
  }

private:
  struct table {
    std::deque<change> changes; // ascending revisions
    std::uint64_t dropped = 0;  // how many were before the first
  };
  struct watcher {
    std::uint32_t table = 0;
    std::uint64_t place = 0; // in its table's changes, counted from the very first
    revision known = 0;      // of the last list, event or bookmark
    std::uint32_t batch = 0;
    bool started = false, lists = true;
    watch_step last;
  };

  static std::string say(const change& c) {
    static constexpr const char* names[] = {"ADDED", "MODIFIED", "DELETED"};
    return std::string(names[static_cast<std::size_t>(c.what)]) + " of key " + text(c.key) + " at revision " +
           text(c.rev);
  }
  static std::string who(const watch_step& s) {
    return "watcher " + text(s.watcher) + " of table " + text(s.table) + " at " + text(s.member) + ", " + text(s.when) +
           ",";
  }

  const change* next(const watcher& w) const {
    auto it = tables_.find(w.table);
    if (it == tables_.end() || w.place < it->second.dropped) return nullptr;
    const auto at = w.place - it->second.dropped;
    return at < it->second.changes.size() ? &it->second.changes[at] : nullptr;
  }
  std::uint64_t place_after(std::uint32_t id, revision rev) {
    const auto& t = tables_[id];
    const auto at = std::upper_bound(t.changes.begin(), t.changes.end(), rev,
                                     [](revision r, const change& c) { return r < c.rev; });
    return t.dropped + static_cast<std::uint64_t>(at - t.changes.begin());
  }

  void listed(watcher& w, const watch_step& s) {
    if (w.started && s.rev < w.known)
      wrong(who(s) + " was given a list of revision " + text(s.rev) + " after it had seen " + text(w.known));
    w.table = s.table;
    w.place = place_after(s.table, s.rev);
    w.known = s.rev;
    w.started = true;
    w.lists = false;
  }

  void event(watcher& w, const watch_step& s) {
    const auto got = "got the event of key " + text(s.key) + " at revision " + text(s.rev);
    if (w.lists) {
      wrong(who(s) + " " + got + " before a list");
      return;
    }
    const auto* c = next(w);
    if (!c) {
      wrong(who(s) + " " + got + ", which nobody wrote or which it had already");
    } else if (s.rev < c->rev) {
      wrong(who(s) + " " + got + " again or out of order: it had everything before " + say(*c));
    } else if (s.rev > c->rev) {
      wrong(who(s) + " " + got + " but never " + say(*c));
    } else if (s.key != c->key) {
      wrong(who(s) + " " + got + " where " + say(*c) + " was due");
    } else if (s.type != c->what || (s.content != 0 && s.content != c->content)) {
      wrong(who(s) + " " + got + " with another type or content than " + say(*c));
    } else if (s.rev == w.known && w.batch != s.batch && inside(w)) {
      wrong(who(s) + " got the transaction of revision " + text(s.rev) + " in two parts");
    }
    ++w.place;
    w.known = s.rev;
    w.batch = s.batch;
  }
  /// The event before this place is of the same transaction.
  bool inside(const watcher& w) const {
    const auto& t = tables_.at(w.table);
    if (w.place <= t.dropped) return false;
    const auto at = w.place - t.dropped;
    return at < t.changes.size() && t.changes[at - 1].rev == t.changes[at].rev;
  }

  void bookmark(watcher& w, const watch_step& s) {
    if (w.lists) wrong(who(s) + " got a bookmark before a list");
    if (s.rev < w.known)
      wrong(who(s) + " got the bookmark " + text(s.rev) + " after it had seen revision " + text(w.known));
    if (const auto* c = next(w); c && c->rev <= s.rev)
      wrong(who(s) + " got the bookmark " + text(s.rev) + " but never " + say(*c));
    w.known = std::max(w.known, s.rev);
  }

  /// It may ask from further back than it knows; then it is given those events again.
  void resumed(watcher& w, const watch_step& s) {
    if (w.lists && !w.started) {
      wrong(who(s) + " resumes before a list");
      return;
    }
    if (const auto* c = next(w); c && c->rev <= s.rev)
      wrong(who(s) + " resumes behind revision " + text(s.rev) + " but never got " + say(*c));
    w.lists = false;
    w.place = std::min(w.place, place_after(w.table, s.rev));
    w.known = std::min(w.known, s.rev);
  }

  static constexpr std::size_t kept_max = 1 << 20; // changes of one table
  std::map<std::uint32_t, table> tables_;
  std::map<std::uint32_t, watcher> watchers_;
};

} // namespace

std::unique_ptr<checker> watch_guarantees() { return std::make_unique<watch_guarantees_checker>(); }

} // namespace troupe::sim
