#include "tests/sim/checkers/checkers.hpp"

#include <map>

namespace troupe::sim {

namespace {

class election_safety_checker final : public checker {
public:
  election_safety_checker() : checker("election safety") {}

  void take(const role_change& r) override {
    if (r.now != role_change::role::leader) return;
    leads(r.member, r.life, r.term, r.when);
  }
  /// The network cannot tell lives apart.
  void take(const leader_claim& c) override { leads(c.member, 0, c.term, c.when); }

private:
  struct reign {
    member_id member;
    std::uint32_t life = 0; // 0: not known
    stamp since;
  };

  void leads(member_id member, std::uint32_t life, log_term term, const stamp& when) {
    auto [it, fresh] = reigns_.try_emplace(term.v, reign{member, life, when});
    if (fresh) {
      if (reigns_.size() > terms_max) reigns_.erase(reigns_.begin());
      return;
    }
    auto& known = it->second;
    if (known.member != member)
      wrong(text(known.member) + " leads term " + text(term.v) + " since " + text(known.since) + ", and " +
            text(member) + " too, at " + text(when));
    else if (life != 0 && known.life != 0 && known.life != life)
      wrong(text(member) + " leads term " + text(term.v) + " again after its restart, at " + text(when));
    if (known.life == 0) known.life = life;
  }

  static constexpr std::size_t terms_max = 1 << 16;
  std::map<std::uint64_t, reign> reigns_;
};

} // namespace

std::unique_ptr<checker> election_safety() { return std::make_unique<election_safety_checker>(); }

} // namespace troupe::sim
