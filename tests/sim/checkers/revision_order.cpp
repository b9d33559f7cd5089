#include "tests/sim/checkers/checkers.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace troupe::sim {

namespace {

/// The store promises more than an order per unit: its revisions are one order of everything. So what was answered with
/// revision r holds for whatever is asked later, in any unit, and a read at r sees just the writes up to r.
class revision_order_checker final : public checker {
public:
  revision_order_checker() : checker("order of revisions") {}

  void take(const acknowledged& a) override { acks_.push_back({a.when.order, a.rev}); }

  void finish(const history& h) override {
    check_time(h);
    check_values(h);
  }

private:
  struct turn {
    std::uint64_t order;
    const operation* call; // null: an acknowledgement
    const operation* ret;
    revision rev;
  };

  /// Answered with a revision that was recorded.
  static bool answered(const operation& o) {
    return o.result == outcome::done && o.completed.order != 0 && (o.seen_rev != 0 || o.what == operation::kind::write);
  }

  void check_time(const history& h) {
    std::vector<turn> turns;
    for (const auto& [order, rev] : acks_)
      turns.push_back({order, nullptr, nullptr, rev});
    for (const auto& o : h.operations) {
      if (!answered(o) || o.what == operation::kind::stale_read) continue;
      turns.push_back({o.invoked.order, &o, nullptr, 0});
      turns.push_back({o.completed.order, nullptr, &o, o.seen_rev});
    }
    std::sort(turns.begin(), turns.end(), [](const turn& a, const turn& b) { return a.order < b.order; });
    revision known = 0;
    std::map<const operation*, revision> floors;
    for (const auto& t : turns) {
      if (t.call) {
        floors[t.call] = known;
      } else if (t.ret) {
        const auto floor = floors[t.ret];
        const bool late = t.ret->what == operation::kind::read ? t.rev < floor : t.rev != 0 && t.rev <= floor;
        if (late) {
          wrong(who(*t.ret) + " was answered with revision " + text(t.rev) + " at " + text(t.ret->completed) +
                ", but when it was asked (" + text(t.ret->invoked) + ") revision " + text(floor) +
                " had been answered");
          return;
        }
        floors.erase(t.ret);
      }
      known = std::max(known, t.rev);
    }
  }

  using slot_key = std::pair<std::uint32_t, std::uint32_t>; // unit, slot

  void check_values(const history& h) {
    std::map<slot_key, std::map<revision, std::uint64_t>> written;
    std::map<std::pair<slot_key, std::uint64_t>, revision> rev_of; // of a value whose write was answered
    std::set<slot_key> maybe_erased;
    for (const auto& o : h.operations) {
      if (o.what != operation::kind::write) continue;
      const bool open = o.result == outcome::pending || o.result == outcome::unknown;
      for (const auto& p : o.puts) {
        const slot_key at{o.unit, p.slot};
        if (open && p.value == 0) maybe_erased.insert(at);
        if (!answered(o) || o.seen_rev == 0) continue;
        written[at][o.seen_rev] = p.value;
        if (p.value != 0) rev_of[{at, p.value}] = o.seen_rev;
      }
    }
    for (const auto& o : h.operations) {
      if (o.what == operation::kind::write || !answered(o)) continue;
      for (const auto& v : o.seen) {
        const slot_key at{o.unit, v.slot};
        const auto& list = written[at];
        auto last = list.upper_bound(o.seen_rev);
        const auto expected = last == list.begin() ? 0 : std::prev(last)->second;
        if (v.value == expected) continue;
        const bool explained = v.value == 0 ? maybe_erased.contains(at) : !rev_of.contains({at, v.value});
        if (explained) continue; // by a write whose revision nobody was told
        wrong(who(o) + " at revision " + text(o.seen_rev) + " saw " + text(v.value) + " in slot " + text(v.slot) +
              ", where " + text(expected) + " was the last write up to that revision; answered at " +
              text(o.completed));
        return;
      }
    }
  }

  static std::string who(const operation& o) {
    const char* what = o.what == operation::kind::write  ? "write"
                       : o.what == operation::kind::read ? "read"
                                                         : "stale read";
    return "client " + text(o.client) + "'s " + what + " of unit " + text(o.unit) + " at " + text(o.member);
  }

  std::vector<std::pair<std::uint64_t, revision>> acks_;
};

} // namespace

std::unique_ptr<checker> revision_order() { return std::make_unique<revision_order_checker>(); }

} // namespace troupe::sim
