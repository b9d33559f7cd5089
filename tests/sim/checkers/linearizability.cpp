// Wing and Gong's search in Lowe's just-in-time form: operations are taken in the order of their calls and returns; the
// set of possible (state, operations that already took effect although they have not returned) is kept, and only when
// an operation returns are the open ones tried in every order that lets it have taken effect by then. Equal
// possibilities are kept once (the memoisation), so the cost follows the number of clients that meet in one unit, not
// the length.
//
// A write of unknown fate stays open for ever, which would multiply the possibilities. Values are unique, so it is
// settled beforehand: if somebody saw one of its values it took effect before that was reported; if nobody did it may
// as well never have happened. Only one that also erases stays optional, and what such a one needs to find.
#include "tests/sim/checkers/checkers.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace troupe::sim {

namespace {

constexpr std::size_t possibilities_max = 100'000; // beyond: the verdict is that it could not be decided
constexpr std::uint64_t never = ~0ull;

using place_value = std::pair<std::uint32_t, std::uint64_t>; // slot's place in the state, value

struct step {
  const operation* what = nullptr;
  std::uint64_t call = 0, ret = never;
  bool certain = false;                          // it happened; otherwise it may have
  bool changes = false;                          // a write that took effect
  std::vector<place_value> needs, differs, puts; // differs: its compare wanted this value and found another
};

struct possibility {
  std::vector<std::uint64_t> state;
  std::vector<std::uint32_t> ahead; // open steps that took effect, ascending
  friend bool operator<(const possibility& a, const possibility& b) {
    return std::tie(a.state, a.ahead) < std::tie(b.state, b.ahead);
  }
};

std::string name_of(const operation& o) {
  std::string s = "client " + text(o.client) + "'s " + (o.what == operation::kind::read ? "read" : "write") +
                  " of unit " + text(o.unit);
  for (const auto& c : o.compares)
    s += ", slot " + text(c.slot) + " = " + text(c.value);
  for (const auto& p : o.puts)
    s += ", slot " + text(p.slot) + " := " + text(p.value);
  if (o.result == outcome::declined) s += ", declined";
  for (const auto& v : o.seen)
    s += ", saw " + text(v.value) + " in slot " + text(v.slot);
  s += " (member " + text(o.member.v) + ", " + text(o.invoked);
  return s + (o.completed.order ? " to " + text(o.completed) : ", unanswered") + ")";
}

class unit_search {
public:
  /// The first broken promise; empty when an order exists.
  std::string run(const std::vector<const operation*>& operations) {
    for (const auto* o : operations)
      add(*o);
    if (auto bad = settle_unknown(); !bad.empty()) return bad;
    struct turn {
      std::uint64_t order;
      std::uint32_t step;
      bool ret;
    };
    std::vector<turn> turns;
    for (std::uint32_t i = 0; i < steps_.size(); ++i) {
      turns.push_back({steps_[i].call, i, false});
      if (steps_[i].ret != never) turns.push_back({steps_[i].ret, i, true});
    }
    std::sort(turns.begin(), turns.end(),
              [](const auto& a, const auto& b) { return std::tie(a.order, a.ret) < std::tie(b.order, b.ret); });
    now_ = {{std::vector<std::uint64_t>(places_.size(), 0), {}}};
    for (const auto& t : turns) {
      if (!t.ret) {
        begin(t.step);
      } else if (!end(t.step)) {
        return explain(t.step);
      }
      if (now_.size() > possibilities_max)
        return "undecided: more than " + text(possibilities_max) + " possibilities at " + name_of(*steps_[t.step].what);
    }
    return {};
  }

private:
  std::uint32_t place(std::uint32_t slot) {
    return places_.try_emplace(slot, static_cast<std::uint32_t>(places_.size())).first->second;
  }

  void add(const operation& o) {
    if (o.result == outcome::failed || o.what == operation::kind::stale_read) {
      failed_.push_back(&o);
      return;
    }
    const bool open = o.result == outcome::pending || o.result == outcome::unknown;
    if (open && o.what != operation::kind::write) return; // it changed nothing and saw nothing
    step s;
    s.what = &o;
    s.call = o.invoked.order;
    s.certain = !open;
    s.ret = open ? never : o.completed.order;
    s.changes = o.what == operation::kind::write && o.result != outcome::declined;
    if (o.what == operation::kind::read) {
      for (const auto& v : o.seen)
        s.needs.emplace_back(place(v.slot), v.value);
    } else if (o.result == outcome::declined) {
      add_declined(o, s);
    } else {
      for (const auto& c : o.compares)
        s.needs.emplace_back(place(c.slot), c.value);
      for (const auto& p : o.puts)
        s.puts.emplace_back(place(p.slot), p.value);
    }
    steps_.push_back(std::move(s));
  }

  /// With `seen`: what came before that slot held. Without: one of them did not hold, whichever.
  void add_declined(const operation& o, step& s) {
    if (o.seen.empty()) {
      for (const auto& c : o.compares)
        s.differs.emplace_back(place(c.slot), c.value);
      return;
    }
    for (const auto& c : o.compares) {
      if (c.slot != o.seen[0].slot) {
        s.needs.emplace_back(place(c.slot), c.value);
        continue;
      }
      s.needs.emplace_back(place(c.slot), o.seen[0].value);
      s.differs.emplace_back(place(c.slot), c.value);
      return;
    }
  }

  /// See the top of this file. Also finds values that nobody can have written.
  std::string settle_unknown() {
    std::map<place_value, std::vector<std::uint32_t>> writers;
    for (std::uint32_t i = 0; i < steps_.size(); ++i)
      for (const auto& p : steps_[i].puts)
        if (p.second != 0) writers[p].push_back(i);
    std::vector<std::uint32_t> look;
    for (std::uint32_t i = 0; i < steps_.size(); ++i)
      if (steps_[i].certain) look.push_back(i);
    bool unique = true;
    for (const auto& [value, by] : writers)
      unique = unique && by.size() == 1;
    while (!look.empty()) {
      const auto seer = look.back();
      look.pop_back();
      for (const auto& v : steps_[seer].needs) {
        if (v.second == 0) continue;
        const auto by = writers.find(v);
        if (by == writers.end()) return nobody_wrote(steps_[seer], v);
        if (!unique) continue;
        auto& w = steps_[by->second[0]];
        if (w.certain && w.what->result != outcome::pending && w.what->result != outcome::unknown) continue;
        if (w.certain && w.ret <= steps_[seer].ret) continue;
        w.certain = true;
        w.ret = steps_[seer].ret;
        if (w.ret < w.call) return nobody_wrote(steps_[seer], v);
        look.push_back(by->second[0]);
      }
    }
    if (unique) forget_unseen(writers);
    return {};
  }

  /// Drops the writes that may as well never have happened.
  void forget_unseen(const std::map<place_value, std::vector<std::uint32_t>>& writers) {
    std::vector<bool> keep(steps_.size());
    std::vector<std::uint32_t> look;
    auto stays = [&](std::uint32_t i) {
      if (keep[i]) return;
      keep[i] = true;
      if (!steps_[i].certain) look.push_back(i);
    };
    for (std::uint32_t i = 0; i < steps_.size(); ++i)
      if (steps_[i].certain ||
          std::any_of(steps_[i].puts.begin(), steps_[i].puts.end(), [](const auto& p) { return p.second == 0; }))
        stays(i);
    while (!look.empty()) { // an erasure may be the only one who saw the value it compared with
      const auto i = look.back();
      look.pop_back();
      for (const auto& v : steps_[i].needs)
        if (const auto by = writers.find(v); by != writers.end()) stays(by->second[0]);
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if (!keep[i]) continue;
      if (kept != i) steps_[kept] = std::move(steps_[i]);
      ++kept;
    }
    steps_.resize(kept);
  }

  std::string nobody_wrote(const step& s, const place_value& v) {
    std::string why = name_of(*s.what) + " saw a value that nobody had written";
    for (const auto* o : failed_)
      for (const auto& p : o->puts)
        if (place(p.slot) == v.first && p.value == v.second)
          why += "; its writer was told that it did not happen: " + name_of(*o);
    return why;
  }

  static bool fits(const step& s, const std::vector<std::uint64_t>& state) {
    for (const auto& [at, value] : s.needs)
      if (state[at] != value) return false;
    if (s.differs.empty()) return true;
    for (const auto& [at, value] : s.differs)
      if (state[at] != value) return true;
    return false;
  }
  static bool is_ahead(const possibility& p, std::uint32_t i) {
    return std::binary_search(p.ahead.begin(), p.ahead.end(), i);
  }
  static void go_ahead(possibility& p, std::uint32_t i) {
    p.ahead.insert(std::upper_bound(p.ahead.begin(), p.ahead.end(), i), i);
  }

  /// What only looks takes effect as early as it can: that never rules anything out.
  void look_now(possibility& p) const {
    for (const auto i : open_)
      if (!steps_[i].changes && !is_ahead(p, i) && fits(steps_[i], p.state)) go_ahead(p, i);
  }

  void begin(std::uint32_t i) {
    open_.push_back(i);
    if (steps_[i].changes) return;
    for (auto& p : now_)
      if (fits(steps_[i], p.state)) go_ahead(p, i);
  }

  /// Keeps the possibilities in which step `i` has taken effect. False when there is none.
  bool end(std::uint32_t i) {
    std::set<possibility> seen, kept;
    std::vector<possibility> todo;
    auto arrive = [&](possibility p) {
      if (is_ahead(p, i)) {
        p.ahead.erase(std::lower_bound(p.ahead.begin(), p.ahead.end(), i));
        kept.insert(std::move(p));
      } else if (seen.size() <= possibilities_max && seen.insert(p).second) {
        todo.push_back(std::move(p));
      }
    };
    before_ = std::move(now_);
    now_.clear();
    for (const auto& p : before_)
      arrive(p);
    while (!todo.empty()) {
      const auto from = std::move(todo.back());
      todo.pop_back();
      for (const auto k : open_) {
        if (!steps_[k].changes || is_ahead(from, k) || !fits(steps_[k], from.state)) continue;
        auto next = from;
        for (const auto& [at, value] : steps_[k].puts)
          next.state[at] = value;
        go_ahead(next, k);
        look_now(next);
        arrive(std::move(next));
      }
    }
    open_.erase(std::find(open_.begin(), open_.end(), i));
    now_.assign(kept.begin(), kept.end());
    if (std::any_of(open_.begin(), open_.end(), [&](auto k) { return !steps_[k].certain; })) drop_wasteful();
    return !now_.empty();
  }

  /// Of two with the same state and the same certain steps, the one that used fewer optional steps can do all that the
  /// other can.
  void drop_wasteful() {
    auto certain = [&](const possibility& p) {
      std::vector<std::uint32_t> out;
      std::copy_if(p.ahead.begin(), p.ahead.end(), std::back_inserter(out), [&](auto k) { return steps_[k].certain; });
      return out;
    };
    std::map<std::pair<std::vector<std::uint64_t>, std::vector<std::uint32_t>>, std::vector<possibility>> alike;
    for (auto& p : now_)
      alike[{p.state, certain(p)}].push_back(p);
    now_.clear();
    for (auto& [key, group] : alike) {
      std::sort(group.begin(), group.end(),
                [](const auto& a, const auto& b) { return a.ahead.size() < b.ahead.size(); });
      std::vector<possibility> kept;
      for (auto& p : group) {
        const bool wasteful = std::any_of(kept.begin(), kept.end(), [&](const auto& k) {
          return std::includes(p.ahead.begin(), p.ahead.end(), k.ahead.begin(), k.ahead.end());
        });
        if (!wasteful) kept.push_back(std::move(p));
      }
      now_.insert(now_.end(), kept.begin(), kept.end());
    }
  }

  std::string explain(std::uint32_t i) const {
    std::string s = name_of(*steps_[i].what) + " fits no order; before it the unit could only hold";
    std::set<std::vector<std::uint64_t>> states;
    for (const auto& p : before_)
      if (states.size() < 3) states.insert(p.state);
    for (const auto& state : states) {
      s += " {";
      for (const auto& [slot, at] : places_)
        s += " " + text(slot) + ":" + text(state[at]);
      s += " }";
    }
    std::size_t shown = 0;
    for (const auto k : open_)
      if (shown++ < 3) s += "; at the same time " + name_of(*steps_[k].what);
    return s;
  }

  std::map<std::uint32_t, std::uint32_t> places_; // slot -> place in the state
  std::vector<step> steps_;
  std::vector<const operation*> failed_;
  std::vector<std::uint32_t> open_;
  std::vector<possibility> now_, before_;
};

class linearizability_checker final : public checker {
public:
  linearizability_checker() : checker("linearizability") {}

  void finish(const history& h) override {
    std::map<std::uint32_t, std::vector<const operation*>> units;
    for (const auto& o : h.operations)
      units[o.unit].push_back(&o);
    for (const auto& [unit, operations] : units)
      if (auto bad = unit_search().run(operations); !bad.empty()) {
        wrong(bad);
        return;
      }
  }
};

} // namespace

std::unique_ptr<checker> linearizability() { return std::make_unique<linearizability_checker>(); }

} // namespace troupe::sim
