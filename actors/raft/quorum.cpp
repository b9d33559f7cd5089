#include "actors/raft/quorum.hpp"

#include "store/mutations.hpp"

#include <algorithm>

namespace troupe::raft {

log_index committed_index(const std::vector<member_id>& voters, const std::function<log_index(member_id)>& match) {
  if (voters.empty()) return log_index{~0ull};
  std::vector<log_index> at;
  at.reserve(voters.size());
  for (auto id : voters)
    at.push_back(match(id));
  auto nth = at.begin() + static_cast<std::ptrdiff_t>((at.size() - 1) / 2);
  if (mutated(mutation::half_is_majority)) nth = at.begin() + static_cast<std::ptrdiff_t>(at.size() / 2);
  std::nth_element(at.begin(), nth, at.end()); // of 4 voters 3 must have it: the second smallest
  return *nth;
}

log_index committed_index(const group_config& c, const std::function<log_index(member_id)>& match) {
  if (mutated(mutation::learners_count)) return committed_index(all_members(c), match);
  return std::min(committed_index(c.voters, match), committed_index(c.outgoing, match));
}

vote_outcome count_votes(const std::vector<member_id>& voters, const std::map<member_id, bool>& votes) {
  if (voters.empty()) return vote_outcome::won;
  const auto quorum = voters.size() / 2 + 1;
  std::size_t yes = 0, open = 0;
  for (auto id : voters) {
    auto it = votes.find(id);
    if (it == votes.end())
      ++open;
    else if (it->second)
      ++yes;
  }
  if (yes >= quorum) return vote_outcome::won;
  return yes + open >= quorum ? vote_outcome::pending : vote_outcome::lost;
}

vote_outcome count_votes(const group_config& c, const std::map<member_id, bool>& votes) {
  const auto a = count_votes(c.voters, votes), b = count_votes(c.outgoing, votes);
  if (a == b) return a;
  return a == vote_outcome::lost || b == vote_outcome::lost ? vote_outcome::lost : vote_outcome::pending;
}

bool contains(const std::vector<member_id>& ids, member_id who) {
  return std::find(ids.begin(), ids.end(), who) != ids.end();
}

bool is_voter(const group_config& c, member_id who) { return contains(c.voters, who) || contains(c.outgoing, who); }

std::vector<member_id> all_members(const group_config& c) {
  std::vector<member_id> out;
  for (const auto* list : {&c.voters, &c.outgoing, &c.learners, &c.learners_next})
    out.insert(out.end(), list->begin(), list->end());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

} // namespace troupe::raft
