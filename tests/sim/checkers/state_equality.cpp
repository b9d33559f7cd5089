#include "tests/sim/checkers/checkers.hpp"

#include <map>

namespace troupe::sim {

namespace {

class state_equality_checker final : public checker {
public:
  state_equality_checker() : checker("state-machine equality") {}

  void take(const state_adopted& a) override {
    auto& m = members_[a.member];
    const auto how = a.snapshot ? " took a snapshot of " : " started from ";
    if (a.snapshot && a.life == m.life && a.index.v < m.last)
      wrong(text(a.member) + how + text(a.index, a.term) + " although it had applied " + text(m.last) + " at " +
            text(a.when));
    m = {a.life, a.index.v, a.rev};
    if (a.damaged) return;                  // parts are missing, and it knows
    if (a.state == 0 && a.snapshot) return; // said again when it is installed
    auto [it, fresh] = states_.try_emplace(a.index.v, known{});
    auto& k = it->second;
    if (fresh) {
      k = {a.term.v, 0, a.rev, a.state, false, store::entry_kind::nothing, a.member, a.when};
      trim();
      return;
    }
    if (k.state != a.state || k.rev != a.rev)
      wrong(text(a.member) + how + text(a.index, a.term) + " with another state (revision " + text(a.rev) + ") than " +
            text(k.by) + " had there (revision " + text(k.rev) + ") at " + text(a.when));
  }

  void take(const applied_entry& a) override {
    auto& m = members_[a.member];
    if (m.life == a.life && a.index.v != m.last + 1) {
      wrong(text(a.member) + " applied entry " + text(a.index, a.term) + " after " + text(m.last) + " at " +
            text(a.when));
      return;
    }
    if (m.life == a.life && (a.rev < m.rev || a.rev > m.rev + 1))
      wrong(text(a.member) + " went from revision " + text(m.rev) + " to " + text(a.rev) + " by entry " +
            text(a.index, a.term) + " at " + text(a.when));
    m = {a.life, a.index.v, a.rev};
    auto [it, fresh] = states_.try_emplace(a.index.v, known{});
    auto& k = it->second;
    if (!fresh) compare(k, a);
    if (fresh || !k.entry) k = {a.term.v, a.payload, a.rev, a.state, true, a.kind, a.member, a.when};
    if (fresh) trim();
  }

private:
  struct member_state {
    std::uint32_t life = 0;
    std::uint64_t last = 0;
    revision rev = 0;
  };
  struct known {
    std::uint64_t term = 0, payload = 0;
    revision rev = 0;
    std::uint64_t state = 0;
    bool entry = false; // false: only a state is known, of a snapshot or a start
    store::entry_kind kind = store::entry_kind::nothing;
    member_id by;
    stamp when;
  };

  void compare(const known& k, const applied_entry& a) {
    const auto both = text(k.by) + " (at " + text(k.when) + ") and " + text(a.member) + " (at " + text(a.when) + ")";
    if (k.entry && (k.term != a.term.v || k.payload != a.payload || k.kind != a.kind))
      wrong(both + " applied different entries as " + text(a.index.v) + ": of terms " + text(k.term) + " and " +
            text(a.term.v));
    else if (k.rev != a.rev)
      wrong(both + " are at revisions " + text(k.rev) + " and " + text(a.rev) + " after entry " +
            text(a.index, a.term));
    else if (k.state != a.state)
      wrong(both + " hold different states after entry " + text(a.index, a.term));
  }
  void trim() {
    if (states_.size() > kept_max) states_.erase(states_.begin());
  }

  static constexpr std::size_t kept_max = 1 << 20;
  std::map<member_id, member_state> members_;
  std::map<std::uint64_t, known> states_; // by index
};

} // namespace

std::unique_ptr<checker> state_equality() { return std::make_unique<state_equality_checker>(); }

} // namespace troupe::sim
