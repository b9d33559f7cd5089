// Only a reign that others could learn of counts: one that sent a message as leader, or put an entry of its own term on
// its disk (vote and term go there before it). A lone voter leads at once; when it dies before its vote is on disk,
// nobody has heard of that reign, and its next life may well lead the same term.
#include "tests/sim/checkers/checkers.hpp"

#include <algorithm>
#include <map>
#include <vector>

namespace troupe::sim {

namespace {

class election_safety_checker final : public checker {
public:
  election_safety_checker() : checker("election safety") {}

  void take(const role_change& r) override {
    if (r.now == role_change::role::leader) of_life(r.member, r.life, r.term, r.when);
  }
  /// The network cannot tell lives apart: it is the latest.
  void take(const leader_claim& c) override {
    auto& all = of_term(c.term);
    const auto last = std::find_if(all.rbegin(), all.rend(), [&](const reign& r) { return r.member == c.member; });
    seen(c.term, last != all.rend() ? *last : all.emplace_back(reign{c.member, 0, c.when}), c.when);
  }
  void take(const stored_entry& e) override {
    const auto it = reigns_.find(e.term.v);
    if (it == reigns_.end()) return;
    for (auto& r : it->second)
      if (r.member == e.member && r.life == e.life) seen(e.term, r, e.when);
  }

private:
  struct reign {
    member_id member;
    std::uint32_t life = 0; // 0: not known
    stamp since;
    bool seen = false;
  };

  std::vector<reign>& of_term(log_term term) {
    auto& all = reigns_[term.v];
    if (reigns_.size() > terms_max && reigns_.begin()->first != term.v) reigns_.erase(reigns_.begin());
    return all;
  }

  void of_life(member_id member, std::uint32_t life, log_term term, const stamp& when) {
    for (auto& r : of_term(term))
      if (r.member == member && (r.life == life || r.life == 0)) {
        r.life = life;
        return;
      }
    of_term(term).push_back({member, life, when});
  }

  void seen(log_term term, reign& one, const stamp& when) {
    if (std::exchange(one.seen, true)) return;
    for (const auto& other : reigns_[term.v]) {
      if (&other == &one || !other.seen) continue;
      if (other.member != one.member)
        wrong(text(other.member) + " leads term " + text(term.v) + " since " + text(other.since) + ", and " +
              text(one.member) + " too, at " + text(when));
      else
        wrong(text(one.member) + " leads term " + text(term.v) + " again after its restart, at " + text(when));
    }
  }

  static constexpr std::size_t terms_max = 1 << 16;
  std::map<std::uint64_t, std::vector<reign>> reigns_;
};

} // namespace

std::unique_ptr<checker> election_safety() { return std::make_unique<election_safety_checker>(); }

} // namespace troupe::sim
