#include "actors/raft/group_board.hpp"
#include "actors/raft/raft_actor.hpp"
#include "tests/unit/raft/store_client.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace std::chrono_literals;

TEST_CASE("a read that was asked for before the actor began is not forgotten") {
  group_board board;
  unsigned answered = 0, woken = 0;
  board.read_barrier([&](const status&) { ++answered; });
  board.on_readers([&] { ++woken; });
  CHECK(woken == 1);
  for (auto& r : board.take_readers())
    r(status::none());
  CHECK(answered == 1);
  board.read_barrier([&](const status&) { ++answered; });
  CHECK(woken == 2);
}

TEST_CASE("a write is answered with its revision and can be read at once") {
  temp_dir dir;
  store_node node(dir.path);
  auto r = node.put("pods", "default", "a", R"({"metadata":{"name":"a"}})");
  REQUIRE(r.ok);
  CHECK(r.rev == 1);
  auto o = node.state()->current()->get("pods", "default", "a");
  REQUIRE(o);
  CHECK(o->mod == 1);
  CHECK(o->bytes == R"({"metadata":{"name":"a","resourceVersion":"1"}})");
}

TEST_CASE("what was acknowledged is there after a clean stop and after none") {
  temp_dir dir;
  for (int round = 0; round < 4; ++round) {
    store_node node(dir.path);
    CHECK(node.state()->current()->count("pods", "") == static_cast<std::size_t>(round) * 10);
    CHECK(node.state()->current()->rev() == static_cast<store::revision>(round) * 10);
    for (int i = 0; i < 10; ++i)
      REQUIRE(node.put("pods", "default", std::to_string(round * 10 + i), "{}").ok);
    if (round % 2 == 0) node.stop();
  }
}

TEST_CASE("watch windows are refilled from history after a restart") {
  temp_dir dir;
  {
    store_node node(dir.path);
    for (int i = 0; i < 5; ++i)
      REQUIRE(node.put("pods", "default", "a", R"({"n":)" + std::to_string(i) + "}").ok);
    REQUIRE(node.erase("pods", "default", "a").ok);
    REQUIRE(node.put("nodes", "", "n1", "{}").ok);
  }
  store_node node(dir.path);
  auto p = node.hub()->pull("pods", 2, 100);
  CHECK_FALSE(p.too_old);
  REQUIRE(p.events.size() == 4);
  CHECK(p.upto == 7);
  CHECK(p.events[0]->rev == 3);
  CHECK(p.events[0]->type == store::event_type::modified);
  CHECK(p.events[0]->previous->mod == 2);
  CHECK(p.events[3]->type == store::event_type::deleted);
  CHECK(p.events[3]->current->mod == 6);
  CHECK(p.events[3]->line() == R"({"type":"DELETED","object":{"n":4,"metadata":{"resourceVersion":"6"}}})"
                               "\n");
}

TEST_CASE("a failed compare changes nothing and names the state it met") {
  temp_dir dir;
  store_node node(dir.path);
  REQUIRE(node.put("pods", "default", "a", "{}").ok);
  store::txn t;
  t.compares.push_back({{"pods", "default", "a"}, 0});
  t.puts.push_back({{"pods", "default", "a"}, "{}", std::string::npos});
  auto r = node.run(std::move(t));
  CHECK_FALSE(r.ok);
  CHECK(r.error.code == 0);
  CHECK(r.rev == 1);
  CHECK(r.current->mod == 1);
}

TEST_CASE("a write of another term's holder is refused") {
  temp_dir dir;
  store_node node(dir.path);
  store::txn t;
  t.fence_term = 77;
  t.puts.push_back({{"pods", "default", "a"}, "{}", std::string::npos});
  auto r = node.run(std::move(t));
  CHECK_FALSE(r.ok);
  CHECK(r.error.code == 409);
  CHECK(node.state()->current()->rev() == 0);
}

TEST_CASE("a malformed or oversized transaction is refused before the log") {
  temp_dir dir;
  store_node node(dir.path);
  CHECK(node.put("pods", "default", "", "{}").error.code == 400);
  CHECK(node.put("pods", "default", std::string("a\0b", 3), "{}").error.code == 400);
  CHECK(node.put("pods", "default", "a", std::string(store::limits::object_bytes_max + 1, ' ')).error.code == 413);
}

TEST_CASE("many writes under way at once are applied in the order they were sent") {
  temp_dir dir;
  store_node node(dir.path);
  const int n = 5000;
  for (int i = 0; i < n; ++i)
    node.send_put("pods", "default", std::to_string(i), "{}");
  auto done = node.await(n);
  REQUIRE(done.size() == n);
  for (std::size_t i = 0; i < done.size(); ++i) {
    REQUIRE(done[i].second.ok);
    REQUIRE(done[i].second.rev == i + 1);
  }
  CHECK(node.state()->current()->count("pods", "default") == n);
}

TEST_CASE("a directory that is in use, or of another cluster or member, is refused with a sentence") {
  temp_dir dir;
  {
    store_node node(dir.path);
    caf::actor_system_config cfg;
    caf::actor_system sys(cfg);
    raft_options o;
    o.data_dir = dir.path;
    o.cluster_id = "test";
    auto second = spawn_raft(sys, o);
    REQUIRE_FALSE(bool(second));
    CHECK(second.error().message.find("in use by another troupe process") != std::string::npos);
  }
  caf::actor_system_config cfg;
  caf::actor_system sys(cfg);
  raft_options o;
  o.data_dir = dir.path;
  o.cluster_id = "other";
  auto r = spawn_raft(sys, o);
  REQUIRE_FALSE(bool(r));
  CHECK(r.error().message.find("belongs to cluster test, not to cluster other") != std::string::npos);
  o.cluster_id = "test";
  o.member = store::member_id{9};
  r = spawn_raft(sys, o);
  REQUIRE_FALSE(bool(r));
  CHECK(r.error().message.find("belongs to member 1") != std::string::npos);
}

TEST_CASE("a stopping store refuses writes and says so") {
  temp_dir dir;
  store_node node(dir.path);
  REQUIRE(node.put("pods", "default", "a", "{}").ok);
  node.stop();
  CHECK(node.put("pods", "default", "b", "{}").error.code == 503);
}

TEST_CASE("status names role, term and indexes") {
  temp_dir dir;
  store_node node(dir.path);
  REQUIRE(node.put("pods", "default", "a", "{}").ok);
  auto doc = json::parse(node.status());
  CHECK(jq::str(doc, {"role"}) == "leader");
  CHECK(jq::num(doc, {"appliedIndex"}) == 3);
  CHECK(jq::num(doc, {"revision"}) == 1);
}

TEST_CASE("a disk below its reserve refuses writes with 507 while reads go on, and nothing of them is applied") {
  temp_dir dir;
  {
    store_node node(dir.path);
    REQUIRE(node.put("pods", "default", "a", "{}").ok);
  }
  raft_options o;
  o.disk_reserve_bytes = ~0ull;
  store_node node(dir.path, o);
  CHECK(node.state()->current()->get("pods", "default", "a"));
  for (int i = 0; i < 3; ++i) {
    auto r = node.put("pods", "default", "b", "{}");
    CHECK(r.error.code == 507);
    CHECK(r.error.reason == "InsufficientStorage");
  }
  CHECK_FALSE(node.state()->current()->get("pods", "default", "b"));
  CHECK(node.state()->current()->rev() == 1);
  auto doc = json::parse(node.status());
  CHECK(jq::str(doc, {"writeError"}).find("kept in reserve") != std::string_view::npos);
  CHECK(node.hub()->pull("pods", 1, 10).events.empty());
}

TEST_CASE("old versions are forgotten by themselves and the windows still answer") {
  temp_dir dir;
  raft_options o;
  o.retention = std::chrono::seconds(0);
  {
    store_node node(dir.path, o);
    for (int i = 0; i < 20; ++i)
      REQUIRE(node.put("pods", "default", "a", "{}").ok);
    // Maintenance runs every 100 ms with this retention; each look at the status is a question to the actor.
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (jq::num(json::parse(node.status()), {"compactedRevision"}) < 20) {
      REQUIRE(std::chrono::steady_clock::now() < until);
    }
    CHECK(node.hub()->pull("pods", 0, 100).events.size() == 20);
  }
  store_node node(dir.path, o);
  CHECK(node.state()->current()->get("pods", "default", "a")->mod == 20);
  CHECK(node.hub()->pull("pods", 5, 100).too_old); // the history is gone with the versions
  CHECK_FALSE(node.hub()->pull("pods", 20, 100).too_old);
}
