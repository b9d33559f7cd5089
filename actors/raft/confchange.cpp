#include "actors/raft/confchange.hpp"

#include "actors/raft/quorum.hpp"
#include "store/bytes.hpp"
#include "store/mutations.hpp"

#include <algorithm>

namespace troupe::raft {

namespace {

void add(std::vector<member_id>& ids, member_id who) {
  if (contains(ids, who)) return;
  ids.insert(std::upper_bound(ids.begin(), ids.end(), who), who);
}
void drop(std::vector<member_id>& ids, member_id who) { std::erase(ids, who); }

void take(group_config& c, const members_change::step& s, bool joint) {
  using op = members_change::op;
  if (s.what == op::add_voter) {
    drop(c.learners, s.who);
    drop(c.learners_next, s.who);
    add(c.voters, s.who);
    return;
  }
  drop(c.voters, s.who);
  drop(c.learners, s.who);
  drop(c.learners_next, s.who);
  if (s.what == op::remove) return;
  // A learner must not be a voter at the same time, in whichever majority.
  if (joint && contains(c.outgoing, s.who))
    add(c.learners_next, s.who);
  else
    add(c.learners, s.who);
}

group_config left(group_config c) {
  for (auto id : c.learners_next)
    add(c.learners, id);
  c.learners_next.clear();
  c.outgoing.clear();
  c.auto_leave = false;
  return c;
}

} // namespace

std::optional<group_config> changed(const group_config& now, const members_change& change, std::string& why) {
  if (change.steps.empty()) {
    if (!now.outgoing.empty()) return left(now);
    why = "the group is not in a joint phase";
    return std::nullopt;
  }
  if (!now.outgoing.empty()) {
    why = "the group is in a joint phase; wait for its end";
    return std::nullopt;
  }
  if (std::any_of(change.steps.begin(), change.steps.end(), [](const auto& s) { return !s.who; })) {
    why = "a member's id must not be 0";
    return std::nullopt;
  }
  group_config next = now;
  const bool joint = change.steps.size() > 1 && !mutated(mutation::skip_joint);
  if (joint) {
    next.outgoing = now.voters;
    next.auto_leave = true;
  }
  for (const auto& s : change.steps)
    take(next, s, joint);
  if (next.voters.empty()) {
    why = "the change would leave the group without a voter";
    return std::nullopt;
  }
  return next;
}

std::string encode_change(const members_change& c) {
  std::string out;
  store::put_varint(out, c.steps.size());
  for (const auto& s : c.steps) {
    out.push_back(static_cast<char>(s.what));
    store::put_varint(out, s.who.v);
  }
  return out;
}

bool decode_change(std::string_view bytes, members_change& out) {
  store::byte_reader in(bytes);
  out.steps.clear();
  for (auto n = in.varint(); n > 0 && !in.bad(); --n) {
    const auto what = in.byte();
    if (what > static_cast<std::uint8_t>(members_change::op::remove)) return false;
    out.steps.push_back({static_cast<members_change::op>(what), member_id{in.varint()}});
  }
  return in.done();
}

} // namespace troupe::raft
