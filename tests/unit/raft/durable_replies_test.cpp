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
    if (const auto* r = std::get_if<append_reply>(&m.body)) return r->ok && r->match == log_index{index};
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
