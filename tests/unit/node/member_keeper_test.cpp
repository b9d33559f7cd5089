#include "actors/node/member_keeper.hpp"

#include "tests/support/group_lab.hpp"

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::node;
using namespace std::chrono_literals;

namespace {

using op = member_order::op;
using strings = std::vector<std::string>;

/// Three masters with a keeper each; m1 leads.
struct town {
  test::group_lab lab{3};
  std::vector<members_actor> keepers;
  caf::scoped_actor self{lab.system};

  town() {
    for (std::uint64_t i = 1; i <= 3; ++i) {
      auto& m = lab.at(i);
      keepers.push_back(spawn_member_keeper(lab.system, {m.raft, m.group, m.state, m.hub, nullptr}));
    }
    lab.lead(1);
    store::txn t;
    std::vector<master_row> rows;
    for (std::uint64_t i = 1; i <= 3; ++i) {
      master_row r;
      r.id = store::member_id{i};
      r.name = "m" + std::to_string(i);
      r.address = "10.0.0." + std::to_string(i);
      rows.push_back(r);
      put_master(t, *view(), r);
    }
    note_member_ids(t, *view(), rows);
    REQUIRE(lab.apply(t));
    lab.step(1s);
  }
  ~town() {
    for (auto& k : keepers)
      caf::anon_send_exit(k, caf::exit_reason::user_shutdown);
    keepers.clear();
    lab.run();
  }
  store::view_ptr view() { return lab.at(1).view(); }

  auto ask(std::uint64_t at, op what, const std::string& name, const std::string& address = "10.0.0.44") {
    auto o = std::make_shared<member_order>();
    o->what = what;
    o->row.name = name;
    o->row.address = address;
    auto asked = self->request(keepers.at(at - 1), caf::infinite, member_order_ptr(std::move(o)));
    lab.run();
    return asked;
  }
  template <class Asked>
  std::pair<int, json::value> answer(Asked& asked) {
    std::pair<int, json::value> out{0, nullptr};
    asked.receive(
        [&](const response_ptr& r) {
          out.first = r->code;
          out.second = json::parse(r->error ? r->error->to_bytes() : r->body);
        },
        [](caf::error&) {});
    return out;
  }
  bool quiet() { return view()->count("orders.troupe.io", {}) == 0; }
};

} // namespace

TEST_CASE("keeper: a master that is added becomes a voter once it has caught up") {
  town t;
  auto asked = t.ask(1, op::add, "m4");
  t.lab.step(1s);
  CHECK(t.lab.commands == strings{"add_learner 4"});
  t.lab.seats[4].lag = 0;
  t.lab.step(1s);
  CHECK(t.lab.commands == strings{"add_learner 4", "promote 4"});
  const auto [code, body] = t.answer(asked);
  CHECK(code == 200);
  CHECK(jq::str(body, {"message"}) == "m4 belongs to the group");
  CHECK(jq::str(body, {"warning"}).find("4 voting masters") == 0);
  CHECK(!find_master(*t.view(), "m4")->joining);
}

TEST_CASE("keeper: a follower's order reaches the leader through the log and its row is gone afterwards") {
  town t;
  auto asked = t.ask(2, op::remove, "m3");
  t.lab.step(2s);
  const auto [code, body] = t.answer(asked);
  CHECK(code == 200);
  CHECK(t.lab.commands == strings{"remove 3"});
  CHECK(!find_master(*t.view(), "m3"));
  CHECK(t.quiet());
  auto list = t.ask(3, op::list, "");
  t.lab.step(1s);
  const auto told = t.answer(list).second;
  CHECK(jq::str(told, {"from"}) == "m1");
  CHECK(jq::arr(told, {"members"}).size() == 2);
  CHECK(t.quiet());
}

TEST_CASE("keeper: a node that can have no others says so at once and writes nothing") {
  town t;
  auto& m = t.lab.at(1);
  auto before = t.view()->rev();
  auto& own = t.keepers.emplace_back(
      spawn_member_keeper(t.lab.system, {m.raft, m.group, m.state, m.hub, nullptr, "it holds everything"}));
  auto asked = t.ask(4, op::add, "m4");
  const auto [code, body] = t.answer(asked);
  CHECK(code == 409);
  CHECK(jq::str(body, {"message"}) == "it holds everything");
  CHECK(t.view()->rev() == before);
  auto list = t.ask(4, op::list, "");
  t.lab.step(1s);
  CHECK(t.answer(list).first == 200);
  caf::anon_send_exit(own, caf::exit_reason::user_shutdown);
}

TEST_CASE("keeper: who adds a master that never answers is told where it was looked for") {
  town t;
  auto asked = t.ask(1, op::add, "m4");
  t.lab.step(1s);
  t.lab.seats[4].contact_ms = 60000;
  t.lab.step(40s);
  const auto [code, body] = t.answer(asked);
  CHECK(code == 202);
  CHECK(jq::str(body, {"message"}).find("m4 does not answer at 10.0.0.44:6444") == 0);
}

TEST_CASE("keeper: refusals come back from the leader as they are") {
  town t;
  auto asked = t.ask(3, op::remove, "m9");
  t.lab.step(1s);
  const auto [code, body] = t.answer(asked);
  CHECK(code == 404);
  CHECK(jq::str(body, {"message"}).find("the group has m1, m2, m3") != std::string_view::npos);
  CHECK(t.quiet());
}

TEST_CASE("keeper: what one leader began the next one ends, also for the one who asked elsewhere") {
  town t;
  auto asked = t.ask(3, op::add, "m4");
  t.lab.step(1s);
  t.lab.lead(2);
  t.lab.seats[4].lag = 0;
  t.lab.step(2s);
  CHECK(t.lab.commands == strings{"add_learner 4", "promote 4"});
  CHECK(t.answer(asked).first == 200);
  CHECK(t.quiet());
}

TEST_CASE("keeper: an order given to a leader that is deposed is answered by its successor") {
  town t;
  auto asked = t.ask(1, op::add, "m4");
  t.lab.lead(3);
  t.lab.step(1s);
  t.lab.seats[4].lag = 0;
  t.lab.step(2s);
  CHECK(t.answer(asked).first == 200);
  CHECK(find_master(*t.view(), "m4"));
}

TEST_CASE("keeper: a leader that is removed hands over and says that it goes on") {
  town t;
  auto asked = t.ask(1, op::remove, "m1");
  t.lab.step(2s);
  CHECK(t.lab.commands == strings{"transfer 0", "remove 1"});
  const auto [code, body] = t.answer(asked);
  CHECK(code == 202);
  CHECK(jq::str(body, {"message"}).find("m1 is being removed") == 0);
}

TEST_CASE("keeper: the lead goes where it is told to") {
  town t;
  auto asked = t.ask(2, op::transfer, "m3");
  t.lab.step(2s);
  CHECK(t.lab.commands == strings{"transfer 3"});
  CHECK(t.answer(asked).first == 200);
}

TEST_CASE("keeper: one that never catches up keeps nobody waiting for ever") {
  town t;
  auto asked = t.ask(2, op::add, "m4");
  t.lab.step(std::chrono::milliseconds(node::limits::order_patience) + 2s);
  const auto [code, body] = t.answer(asked);
  CHECK(code == 202);
  CHECK(find_master(*t.view(), "m4")->joining);
}

TEST_CASE("keeper: without a leader the list tells what this master knows, and orders are refused") {
  town t;
  t.lab.leaderless();
  auto list = t.ask(2, op::list, ""), add = t.ask(2, op::add, "m4");
  t.lab.step(1s);
  const auto [code, body] = t.answer(list);
  CHECK(code == 200);
  CHECK(jq::str(body, {"from"}) == "m2");
  CHECK(t.answer(add).first == 503);
}
