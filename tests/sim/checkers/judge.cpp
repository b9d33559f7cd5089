#include "tests/sim/checkers/checkers.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace troupe::sim {

std::vector<std::unique_ptr<checker>> all_checkers() {
  std::vector<std::unique_ptr<checker>> all;
  all.push_back(election_safety());
  all.push_back(log_matching());
  all.push_back(leader_completeness());
  all.push_back(state_equality());
  all.push_back(no_lost_writes());
  all.push_back(linearizability());
  all.push_back(revision_order());
  all.push_back(watch_guarantees());
  all.push_back(fencing());
  all.push_back(convergence());
  return all;
}

namespace {

template <class T>
std::uint64_t order_at(const std::vector<T>& list, std::size_t i) {
  return i < list.size() ? list[i].when.order : std::numeric_limits<std::uint64_t>::max();
}

template <class T>
void give(std::vector<std::unique_ptr<checker>>& all, const std::vector<T>& list, std::size_t& i) {
  for (auto& c : all)
    if (!c->found()) c->take(list[i]);
  ++i;
}

} // namespace

void judge::read(const history& h) {
  for (;;) {
    const std::array next{order_at(h.stored, at_.stored),   order_at(h.applied, at_.applied),
                          order_at(h.adopted, at_.adopted), order_at(h.roles, at_.roles),
                          order_at(h.claims, at_.claims),   order_at(h.changes, at_.changes),
                          order_at(h.acks, at_.acks),       order_at(h.watches, at_.watches)};
    const auto first = std::min_element(next.begin(), next.end());
    if (*first == std::numeric_limits<std::uint64_t>::max()) return;
    switch (first - next.begin()) {
    case 0: give(checkers_, h.stored, at_.stored); break;
    case 1: give(checkers_, h.applied, at_.applied); break;
    case 2: give(checkers_, h.adopted, at_.adopted); break;
    case 3: give(checkers_, h.roles, at_.roles); break;
    case 4: give(checkers_, h.claims, at_.claims); break;
    case 5: give(checkers_, h.changes, at_.changes); break;
    case 6: give(checkers_, h.acks, at_.acks); break;
    default: give(checkers_, h.watches, at_.watches); break;
    }
  }
}

void judge::finish(const history& h) {
  read(h);
  for (auto& c : checkers_)
    if (!c->found()) c->finish(h);
}

std::vector<violation> judge::verdicts() const {
  std::vector<violation> out;
  for (const auto& c : checkers_)
    if (c->found()) out.push_back(*c->found());
  return out;
}

std::vector<violation> judged(const history& h) {
  judge j;
  j.finish(h);
  return j.verdicts();
}

} // namespace troupe::sim
