#include "tests/sim/checkers/checkers.hpp"

#include <algorithm>

namespace troupe::sim {

namespace {

std::string seconds(instant t) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(t).count()) + " ms";
}

class convergence_checker final : public checker {
public:
  convergence_checker() : checker("convergence after healing") {}

  void finish(const history& h) override {
    const auto& e = h.end;
    if (!e.healed) return;
    if (!e.converged_at) {
      wrong("healed at " + seconds(e.healed_at) + " and not converged " + seconds(e.converge_within) +
            " later; still waiting for: " + (e.waits_for.empty() ? "nothing it names" : e.waits_for));
      return;
    }
    if (*e.converged_at - e.healed_at > e.converge_within)
      wrong("took " + seconds(*e.converged_at - e.healed_at) + " to converge; " + seconds(e.converge_within) +
            " are allowed");
    const auto leaders = std::count_if(e.members.begin(), e.members.end(), [](const auto& m) { return m.leads; });
    if (!e.members.empty() && leaders != 1)
      wrong(text(static_cast<std::uint64_t>(leaders)) + " members lead in the end");
    for (const auto& m : e.members) {
      const auto& first = e.members.front();
      if (m.index != first.index || m.rev != first.rev || m.state != first.state)
        wrong(text(m.member) + " ends at entry " + text(m.index.v) + ", revision " + text(m.rev) + ", " +
              text(first.member) + " at entry " + text(first.index.v) + ", revision " + text(first.rev) +
              (m.index == first.index && m.rev == first.rev ? ", with different states" : ""));
    }
  }
};

} // namespace

std::unique_ptr<checker> convergence() { return std::make_unique<convergence_checker>(); }

} // namespace troupe::sim
