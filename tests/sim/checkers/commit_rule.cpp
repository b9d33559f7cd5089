#include "tests/sim/checkers/checkers.hpp"

#include <algorithm>
#include <iterator>
#include <map>

namespace troupe::sim {

namespace {

/// An entry is committed when a majority stored an entry of one term c, at its index or behind it, while they were in
/// term c themselves. An entry of a former term that a majority stores only now is on many disks, but a leader that
/// never saw it can still be elected; to wait until that happens takes luck, to look at the rule does not.
/// A member may have moved on to a later term while its disk was busy: what it stores within `write_max` still counts.
class commit_rule_checker final : public checker {
public:
  commit_rule_checker(std::size_t voters, instant write_max)
      : checker("commit rule"), majority_(voters / 2 + 1), write_max_(write_max) {}

  void take(const role_change& r) override {
    auto& terms = terms_[r.member];
    if (terms.empty() || terms.back().second < r.term.v) terms.emplace_back(r.when.at, r.term.v);
  }

  void take(const stored_entry& e) override {
    for (const auto& [since, term] : terms_[e.member])
      if (term > e.term.v && since + write_max_ < e.when.at) return;
    auto& upto = stored_[e.term.v][e.member];
    upto = std::max(upto, e.index.v);
    if (stored_.size() > terms_max) stored_.erase(stored_.begin());
  }

  void take(const applied_entry& a) override {
    if (a.index.v <= applied_) return;
    applied_ = a.index.v;
    for (const auto& [term, members] : stored_) {
      const auto holders =
          std::count_if(members.begin(), members.end(), [&](const auto& m) { return m.second >= a.index.v; });
      if (static_cast<std::size_t>(holders) >= majority_) return;
    }
    wrong(text(a.member) + " applied entry " + text(a.index, a.term) + " at " + text(a.when) + ", but no majority of " +
          text(majority_) + " had stored it, or one behind it, in the term that entry is of");
  }

private:
  static constexpr std::size_t terms_max = 1 << 12;
  const std::size_t majority_;
  const instant write_max_;
  std::map<member_id, std::vector<std::pair<instant, std::uint64_t>>> terms_; // since when a member is in a term
  std::map<std::uint64_t, std::map<member_id, std::uint64_t>> stored_;        // term -> member -> highest index
  std::uint64_t applied_ = 0;
};

} // namespace

std::unique_ptr<checker> commit_rule(std::size_t voters, instant write_max) {
  return std::make_unique<commit_rule_checker>(voters, write_max);
}

} // namespace troupe::sim
