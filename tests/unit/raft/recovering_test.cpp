// A member that lost its log gets its vote back: the leader tells it what is committed, also when nothing follows.
#include "actors/raft/raft_core.hpp"

#include <doctest/doctest.h>

using namespace troupe::raft;

namespace {

const append_request* append_to(const effects& e, member_id to) {
  for (const auto& m : e.send)
    if (const auto* r = std::get_if<append_request>(&m.body); r && m.to == to) return r;
  return nullptr;
}

/// Member 1 of three, leading term 1 with its first entry durable; members 2 and 3 have one append each under way.
struct leader {
  raft_core core{{}, [] {
                   core_state s;
                   s.config.voters = {member_id{1}, member_id{2}, member_id{3}};
                   return s;
                 }()};
  instant now{0};

  leader() {
    now = core.step(begin{}, now).wake_at;
    core.step(tick{}, now);
    take(2, vote_reply{true, true});
    core.step(persisted{}, now);
    take(2, vote_reply{true, false});
    core.step(persisted{}, now);
    REQUIRE(core.role_now() == role::leader);
  }
  effects take(std::uint64_t from, message_body body) {
    const auto* v = std::get_if<vote_reply>(&body);
    const auto term = v && v->pre ? log_term{core.term().v + 1} : core.term();
    return core.step(receive{{member_id{from}, member_id{1}, term, std::move(body)}}, now);
  }
};

} // namespace

TEST_CASE("what was committed while a damaged member's only append was under way is told to it by another") {
  leader l; // sim seed 4003898: it heard of the commit from heartbeats alone, and never voted again
  const auto first = l.core.log().last().index;
  l.take(2, append_reply{true, first, {}});
  REQUIRE(l.core.log().commit() == first);
  const auto e = l.take(3, append_reply{true, first, {}, true});
  const auto* told = append_to(e, member_id{3});
  REQUIRE(told != nullptr);
  CHECK(told->entries.empty());
  CHECK(told->commit == first);
  CHECK(append_to(l.take(3, append_reply{true, first, {}}), member_id{3}) == nullptr); // whole again: nothing more
}

TEST_CASE("a member that is not damaged is not written to only for having answered") {
  leader l;
  const auto first = l.core.log().last().index;
  l.take(2, append_reply{true, first, {}});
  CHECK(append_to(l.take(3, append_reply{true, first, {}}), member_id{3}) == nullptr);
}

TEST_CASE("before the leader committed in its own term there is nothing that could give the vote back") {
  leader l;
  l.core.step(propose_entries{{std::make_shared<const std::string>("x")}}, l.now);
  CHECK(append_to(l.take(3, append_reply{true, log_index{0}, {}, true}), member_id{3}) != nullptr); // the entries
  CHECK(l.core.log().commit() == log_index{0});
}
