// What a follower confirms, and when: never before it is on disk, and without a write where it is there already.
#include "actors/raft/raft_core.hpp"

#include <doctest/doctest.h>

using namespace troupe::raft;

namespace {

constexpr member_id me{2}, leader{1};

/// Member 2 of three, in term 1, led by member 1.
struct follower {
  raft_core core;
  instant now{0};

  static core_state fresh() {
    core_state s;
    s.config.voters = {member_id{1}, member_id{2}, member_id{3}};
    return s;
  }
  static core_options options() {
    core_options o;
    o.self = me;
    o.held_bytes_max = 1000;
    return o;
  }
  follower() : core(options(), fresh()) {
    core.step(begin{}, now);
    take(heartbeat{});
    core.step(persisted{}, now); // the term
  }

  effects take(message_body body) { return core.step(receive{{leader, me, log_term{1}, std::move(body)}}, now); }
  effects append(std::uint64_t after, std::uint64_t after_term, std::uint64_t count, std::uint64_t commit) {
    append_request r{{log_index{after}, log_term{after_term}}, {}, log_index{commit}};
    for (std::uint64_t i = 1; i <= count; ++i)
      r.entries.push_back({log_index{after + i}, log_term{1}, entry_kind::nothing, {}});
    return take(std::move(r));
  }
  effects snapshot(std::uint64_t index) {
    snapshot_chunk c;
    c.meta = {{log_index{index}, log_term{1}}, fresh().config};
    c.data = std::make_shared<const std::string>("all of it");
    c.last = true;
    return take(std::move(c));
  }
};

bool confirms(const std::vector<message>& sent, std::uint64_t index) {
  for (const auto& m : sent)
    if (const auto* r = std::get_if<append_reply>(&m.body)) return r->ok && !r->held && r->match == log_index{index};
  return false;
}

} // namespace

TEST_CASE("new entries are confirmed once they are durable") {
  follower f;
  const auto e = f.append(0, 0, 2, 0);
  CHECK(e.send.empty());
  REQUIRE(e.persist.has_value());
  CHECK(e.persist->append.size() == 2);
  CHECK(confirms(e.persist->then_send, 2));
}

TEST_CASE("what is durable already is confirmed at once, without a write") {
  follower f;
  f.append(0, 0, 2, 0);
  f.core.step(persisted{}, f.now);
  const auto told = f.append(2, 1, 0, 2); // only that they are committed
  CHECK_FALSE(told.persist.has_value());
  CHECK(confirms(told.send, 2));
  CHECK(told.apply.size() == 2);
  const auto again = f.append(0, 0, 2, 2); // a repeated message
  CHECK_FALSE(again.persist.has_value());
  CHECK(confirms(again.send, 2));
}

TEST_CASE("an entry that is being written is not confirmed by a message that repeats it") {
  follower f;
  f.append(0, 0, 1, 0);
  const auto again = f.append(0, 0, 1, 0);
  CHECK(again.send.empty());
  const auto after = f.core.step(persisted{}, f.now);
  CHECK_FALSE(after.persist.has_value()); // no second write for the reply that waited
  CHECK(confirms(after.send, 1));
}

TEST_CASE("a snapshot that waits for the disk counts for nobody: not for the leader, not for readers") { // seed 502694
  follower f;
  REQUIRE(f.append(0, 0, 1, 0).persist.has_value()); // the disk is slow: this one is out
  f.snapshot(9);
  CHECK(f.core.installing()); // although nothing of it was handed out yet
  CHECK(f.append(9, 1, 0, 9).send.empty());
  CHECK(f.snapshot(9).send.empty());
  const auto next = f.core.step(persisted{}, f.now);
  REQUIRE(next.persist.has_value());
  CHECK(next.persist->install.has_value());
  CHECK(f.core.installing());
  CHECK(f.append(9, 1, 0, 9).send.empty());
  f.core.step(persisted{}, f.now);
  CHECK_FALSE(f.core.installing());
  CHECK(confirms(f.append(9, 1, 0, 9).send, 9));
}

namespace {
const append_reply* held(const effects& e) {
  for (const auto& m : e.send)
    if (const auto* r = std::get_if<append_reply>(&m.body); r && r->held) return r;
  return nullptr;
}
} // namespace

TEST_CASE(
    "while the disk refuses, entries are taken and applied, confirmed as held only, and no more than may be held") {
  follower f;
  REQUIRE(f.append(0, 0, 1, 0).persist.has_value());
  f.core.step(persist_failed{}, f.now);
  std::uint64_t last = 1;
  for (; last < 1000; ++last) {
    const auto e = f.append(last, 1, 1, last + 1);
    CHECK_FALSE(confirms(e.send, last + 1));
    if (!held(e)) break;
    CHECK(held(e)->match == log_index{last + 1});
    CHECK(f.core.log().applied() == log_index{last + 1});
  }
  CHECK(last > 2);
  CHECK(last < 1000);
  CHECK(f.core.log().last().index == log_index{last});
  // The disk takes it: one confirmation for all, and more may come.
  const auto healed = f.core.step(persisted{}, f.now);
  REQUIRE(healed.persist.has_value());
  CHECK(healed.persist->append.size() == last - 1);
  REQUIRE(healed.persist->then_send.size() == 1);
  CHECK(confirms(healed.persist->then_send, last));
  f.core.step(persisted{}, f.now);
  CHECK(f.append(last, 1, 1, last).persist.has_value());
}

TEST_CASE("term and vote go beside a refused write, as often as its disk is asked, and before what rests on them") {
  follower f;
  REQUIRE(f.append(0, 0, 1, 0).persist.has_value());
  CHECK_FALSE(f.core.step(persist_failed{}, f.now).aside.has_value()); // nothing new
  f.now += std::chrono::seconds(2);                                    // the leader is silent
  const auto ask = [&](std::uint64_t term) {
    const vote_request r{{log_index{9}, log_term{1}}};
    return f.core.step(receive{{member_id{3}, me, log_term{term}, r}}, f.now);
  };
  const auto first = ask(2);
  CHECK(first.send.empty());
  REQUIRE(first.aside.has_value());
  CHECK(first.aside->hard.term == log_term{2});
  CHECK(first.aside->hard.vote == member_id{3});
  CHECK(first.aside->then_send.size() == 1);
  CHECK_FALSE(f.core.step(aside_written{false}, f.now).aside.has_value()); // it would be asked for ever
  const auto again = f.core.step(persist_failed{}, f.now);
  REQUIRE(again.aside.has_value());
  CHECK(again.aside->hard.term == log_term{2});
  f.core.step(aside_written{}, f.now);
  const auto healed = f.core.step(persisted{}, f.now); // the refused group was older
  CHECK_FALSE(healed.persist.has_value());
  const auto repeated = ask(2);
  CHECK(repeated.send.size() == 1);
}

TEST_CASE("a leader that begins again at what is durable hears how far a member whose disk refuses has come") {
  follower f;
  REQUIRE(f.append(0, 0, 1, 0).persist.has_value());
  f.core.step(persist_failed{}, f.now);
  f.append(1, 1, 4, 5);
  REQUIRE(f.core.log().applied() == log_index{5});
  const auto again = f.append(0, 0, 2, 5); // an append was lost on the way: it knows of nothing durable
  CHECK_FALSE(confirms(again.send, 5));
  REQUIRE(held(again) != nullptr);
  CHECK(held(again)->match == log_index{5});
}
