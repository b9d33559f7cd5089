// Histories of logs, terms and states, good and bad.
#include "tests/unit/sim/history_builder.hpp"

#include <doctest/doctest.h>

using namespace troupe::sim;
using namespace troupe::sim::test;

namespace {
bool mentions(const std::string& what, const std::string& part) { return what.find(part) != std::string::npos; }
} // namespace

TEST_CASE("one leader per term is fine, two are not, nor is one that leads its term again after a restart") {
  history_builder b;
  b.reign(1, 1);
  b.reign(2, 2);
  b.reign(1, 3);
  CHECK(verdict(election_safety(), b.h) == "");
  auto two = b;
  two.reign(3, 2);
  CHECK(mentions(verdict(election_safety(), two.h), "member 2 leads term 2"));
  auto again = b;
  again.reign(1, 3, 2);
  CHECK(mentions(verdict(election_safety(), again.h), "after its restart"));
  auto claim = b;
  claim.h.claims.push_back({claim.now(), member_id{3}, log_term{1}});
  CHECK(verdict(election_safety(), claim.h) != "");
}

TEST_CASE("a reign that nobody could learn of does not count, until somebody can") {
  history_builder b;
  b.lead(1, 5); // alone, and dead before its vote is on disk
  b.reign(1, 5, 2);
  CHECK(verdict(election_safety(), b.h) == "");
  auto stored = b;
  stored.store(1, 9, 5, 7, 1);
  CHECK(mentions(verdict(election_safety(), stored.h), "after its restart"));
  history_builder sent;
  sent.lead(1, 5);
  sent.h.claims.push_back({sent.now(), member_id{1}, log_term{5}});
  sent.lead(1, 5, 2);
  CHECK(verdict(election_safety(), sent.h) == "");
  sent.store(1, 9, 5, 7, 2);
  CHECK(mentions(verdict(election_safety(), sent.h), "after its restart"));
  history_builder other;
  other.lead(1, 5);
  other.reign(2, 5);
  CHECK(verdict(election_safety(), other.h) == "");
  other.h.claims.push_back({other.now(), member_id{1}, log_term{5}});
  CHECK(mentions(verdict(election_safety(), other.h), "member 2 leads term 5"));
}

TEST_CASE("logs that agree on an entry agree on everything before it") {
  history_builder b; // thesis figure 3.6: leftovers of former terms are replaced
  b.store(1, 1, 1);
  b.store(2, 1, 1);
  b.store(1, 2, 1, 21);
  b.store(2, 2, 2, 22);
  b.store(1, 2, 2, 22);
  CHECK(verdict(log_matching(), b.h) == "");
  auto content = b;
  content.store(3, 1, 1);
  content.store(3, 2, 2, 23);
  CHECK(mentions(verdict(log_matching(), content.h), "different contents"));
  auto before = b;
  before.store(1, 3, 4);
  before.store(3, 1, 1);
  before.store(3, 2, 1, 21);
  before.store(3, 3, 4);
  CHECK(mentions(verdict(log_matching(), before.h), "the entry before it is of term 2 there and of term 1 here"));
  auto hole = b;
  hole.store(1, 4, 4);
  CHECK(mentions(verdict(log_matching(), hole.h), "its log ends at 2"));
  auto back = b;
  back.store(1, 3, 1);
  CHECK(mentions(verdict(log_matching(), back.h), "later term"));
}

TEST_CASE("a snapshot replaces a log that does not hold its last entry, and only that") {
  history_builder b;
  for (int i = 1; i <= 3; ++i)
    b.store(1, static_cast<std::uint64_t>(i), 1);
  b.start(1, 1, 2, 1).snapshot = true; // agrees: 3 stays
  b.store(1, 4, 2);
  CHECK(verdict(log_matching(), b.h) == "");
  b.start(1, 1, 9, 3).snapshot = true;
  auto tail = b;
  b.store(1, 10, 3);
  CHECK(verdict(log_matching(), b.h) == "");
  tail.store(1, 5, 3);
  CHECK(mentions(verdict(log_matching(), tail.h), "its log ends at 9"));
}

TEST_CASE("a committed entry is in the log of every later leader") {
  history_builder b; // thesis figure 3.7: 2@3 is a leftover, 2@2 is committed by the leader of term 4
  b.follow(1, 4);
  b.store(5, 2, 3);
  b.store(1, 2, 2);
  b.apply(1, 2, 2);
  CHECK(verdict(leader_completeness(), b.h) == "");
  auto bad = b;
  bad.store(5, 2, 5);
  CHECK(mentions(verdict(leader_completeness(), bad.h), "the leader of term 5 did not have it"));
  history_builder early; // the same, committed by counting in term 2 although 2@3 exists
  early.follow(1, 2);
  early.store(5, 2, 3);
  early.apply(1, 2, 2);
  CHECK(verdict(leader_completeness(), early.h) != "");
  auto own = b;
  own.store(1, 2, 3);
  CHECK(mentions(verdict(leader_completeness(), own.h), "which it had applied"));
}

TEST_CASE("an entry of a former term does not count when a majority stores it late") {
  const auto rule = [](const history_builder& b) { return verdict(commit_rule(3, std::chrono::milliseconds(2)), b.h); };
  history_builder b; // 2@2 is stored by 1 in term 2; 1 leads again in term 4 and gives it to 3
  b.follow(1, 2);
  b.store(1, 2, 2);
  b.lead(1, 4);
  b.follow(3, 4);
  b.follow(2, 4);
  for (int i = 0; i < 5; ++i)
    b.now();
  b.store(3, 2, 2);
  auto own = b;
  own.store(1, 3, 4);
  own.store(3, 3, 4);
  own.apply(1, 2, 2);
  own.apply(1, 3, 4);
  CHECK(rule(own) == "");
  b.apply(1, 2, 2);
  CHECK(mentions(rule(b), "applied entry 2@2"));
  history_builder slow; // stored a moment after the member moved on: it was acknowledged in its term
  slow.store(1, 1, 1);
  slow.follow(2, 2);
  slow.store(2, 1, 1);
  slow.apply(1, 1, 1);
  CHECK(rule(slow) == "");
  history_builder alone;
  alone.store(1, 1, 1);
  alone.apply(1, 1, 1);
  CHECK(rule(alone) != "");
}

TEST_CASE("all members apply the same, once, in order, to the same state") {
  history_builder b;
  for (std::uint64_t m = 1; m <= 2; ++m) {
    b.start(m);
    b.apply(m, 1, 1);
    b.apply(m, 2, 1);
  }
  b.start(2, 2, 1, 1); // its disk knew less than it had applied
  b.apply(2, 2, 1).life = 2;
  b.start(3, 1, 2, 1).snapshot = true;
  b.apply(3, 3, 2);
  CHECK(verdict(state_equality(), b.h) == "");
  auto gap = b;
  gap.apply(1, 4, 2);
  CHECK(mentions(verdict(state_equality(), gap.h), "applied entry 4@2 after 2"));
  auto twice = b;
  twice.apply(1, 2, 1);
  CHECK(mentions(verdict(state_equality(), twice.h), "applied entry 2@1 after 2"));
  auto other = b;
  other.apply(1, 3, 1, 8);
  CHECK(mentions(verdict(state_equality(), other.h), "different entries as 3"));
  auto state = b;
  state.apply(1, 3, 2).state = 1;
  CHECK(mentions(verdict(state_equality(), state.h), "different states"));
  auto snapshot = b;
  auto& taken = snapshot.start(4, 1, 2, 1);
  taken.snapshot = true;
  taken.state = 1;
  CHECK(mentions(verdict(state_equality(), snapshot.h), "took a snapshot"));
  auto jump = b;
  jump.apply(1, 3, 2).rev = 9;
  CHECK(mentions(verdict(state_equality(), jump.h), "from revision 2 to 9"));
}

TEST_CASE("a write that was acknowledged stays") {
  history_builder b;
  b.apply(1, 4, 1);
  b.changed(4, "a");
  b.ack(4, "a");
  b.h.end.members = {{member_id{1}, true, log_index{4}, 4, 1}};
  CHECK(verdict(no_lost_writes(), b.h) == "");
  auto replaced = b;
  replaced.apply(2, 4, 2, 9);
  CHECK(mentions(verdict(no_lost_writes(), replaced.h), "but member 2 applied 4@2 there"));
  auto ends = b;
  ends.h.end.members[0].index = log_index{3};
  CHECK(mentions(verdict(no_lost_writes(), ends.h), "no member holds more than entry 3"));
  auto never = b;
  never.ack(5, "a");
  CHECK(mentions(verdict(no_lost_writes(), never.h), "nobody had applied that revision"));
  auto key = b;
  key.ack(4, "b");
  CHECK(mentions(verdict(no_lost_writes(), key.h), "did not touch its key"));
  auto content = b;
  content.ack(4, "a", 6);
  CHECK(mentions(verdict(no_lost_writes(), content.h), "other bytes"));
  auto erased = b;
  erased.ack(4, "a", 5, true);
  CHECK(verdict(no_lost_writes(), erased.h) != "");
  auto rev = b;
  rev.end_write(rev.begin_write(1, {{1, 3}}), 5);
  CHECK(mentions(verdict(no_lost_writes(), rev.h), "end at revision 4"));
}

TEST_CASE("a fenced write takes effect in its term only") {
  history_builder b;
  b.start(1);
  b.apply(1, 1, 2).fence = 2;
  auto& refused = b.apply(1, 2, 3);
  refused.fence = 2;
  refused.rev = 1;
  CHECK(verdict(fencing(), b.h) == "");
  b.h.applied.back().rev = 2;
  CHECK(mentions(verdict(fencing(), b.h), "fenced for term 2"));
}

TEST_CASE("a healed group converges in time, to one leader and one state") {
  history_builder b;
  CHECK(verdict(convergence(), b.h) == "");
  auto& e = b.h.end;
  e.healed = true;
  e.healed_at = std::chrono::seconds(10);
  e.converge_within = std::chrono::seconds(5);
  e.converged_at = std::chrono::seconds(12);
  e.members = {{member_id{1}, true, log_index{4}, 4, 1}, {member_id{2}, false, log_index{4}, 4, 1}};
  CHECK(verdict(convergence(), b.h) == "");
  auto late = b;
  late.h.end.converged_at = std::chrono::seconds(16);
  CHECK(mentions(verdict(convergence(), late.h), "took 6000 ms"));
  auto never = b;
  never.h.end.converged_at.reset();
  never.h.end.waits_for = "a leader";
  CHECK(mentions(verdict(convergence(), never.h), "waiting for: a leader"));
  auto differ = b;
  differ.h.end.members[1].state = 2;
  CHECK(mentions(verdict(convergence(), differ.h), "different states"));
  auto behind = b;
  behind.h.end.members[1].index = log_index{3};
  CHECK(verdict(convergence(), behind.h) != "");
  auto two = b;
  two.h.end.members[1].leads = true;
  CHECK(mentions(verdict(convergence(), two.h), "2 members lead"));
}

TEST_CASE("the judge reads in pieces and says each property once") {
  history_builder b;
  b.reign(1, 1);
  judge j;
  j.read(b.h);
  b.h.roles.clear();
  b.h.stored.clear();
  j.forget();
  b.reign(2, 1);
  b.reign(3, 1);
  j.finish(b.h);
  const auto all = j.verdicts();
  REQUIRE(all.size() == 1);
  CHECK(all[0].property == "election safety");
}
