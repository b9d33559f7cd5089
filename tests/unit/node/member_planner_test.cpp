#include "actors/node/member_paths.hpp"
#include "actors/node/member_planner.hpp"
#include "store/state_machine.hpp"
#include "store/txn_codec.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::node;

namespace {

using op = member_order::op;
using step = member_step::kind;

master_row row(std::uint64_t id, const std::string& name) {
  master_row m;
  m.id = store::member_id{id};
  m.name = name;
  m.address = "10.0.0." + std::to_string(id);
  return m;
}

/// A directory and a group whose leader is member 1; nothing but values.
struct town {
  store::state_machine machine;
  std::uint64_t index = 0;
  group_report g;

  explicit town(std::size_t founders) {
    g.self = g.leader = store::member_id{1};
    g.leads = true;
    g.term = 1;
    g.last = 1000;
    store::txn t;
    std::vector<master_row> rows;
    for (std::uint64_t i = 1; i <= founders; ++i) {
      rows.push_back(row(i, "m" + std::to_string(i)));
      put_master(t, *view(), rows.back());
      join(i, true);
    }
    note_member_ids(t, *view(), rows);
    REQUIRE(apply(t));
  }
  std::shared_ptr<const store::state_view> view() { return machine.snapshot(); }
  bool apply(const store::txn& t) {
    store::log_entry e{store::log_index{++index}, store::log_term{1}, store::entry_kind::change,
                       std::make_shared<const std::string>(store::encode_txn(t))};
    std::vector<store::change_record> changes;
    return machine.apply(e, changes).ok;
  }
  void join(std::uint64_t id, bool voter, std::uint64_t match = 1000) {
    group_report::member m;
    m.id = store::member_id{id};
    m.voter = voter;
    m.self = m.id == g.self;
    m.match = match;
    if (!m.self) m.contact_ms = 10;
    g.members.push_back(m);
  }
  group_report::member& member(std::uint64_t id) {
    for (auto& m : g.members)
      if (m.id.v == id) return m;
    throw std::runtime_error("no such member");
  }
  void leave(std::uint64_t id) {
    std::erase_if(g.members, [&](const auto& m) { return m.id.v == id; });
  }
  void silence(std::uint64_t id) { member(id).contact_ms = 60000; }
  order_start begin(op what, const std::string& name, const std::string& by = "o1") {
    member_order o;
    o.what = what;
    o.row.name = name;
    o.row.address = "10.0.0.44";
    return begin_order(o, by, *view(), g);
  }
  bool order(op what, const std::string& name, const std::string& by = "o1") {
    auto s = begin(what, name, by);
    return !s.refused && (!s.change || apply(*s.change));
  }
  member_step next() { return next_step(*view(), g); }
};

std::string sentence(const order_start& s) { return s.refused ? s.refused->message : std::string{}; }

} // namespace

TEST_CASE("a master is added as a learner, promoted when it has caught up, and then it is done") {
  town t(3);
  REQUIRE(t.order(op::add, "m4"));
  CHECK(find_master(*t.view(), "m4")->id.v == 4);
  auto s = t.next();
  CHECK(s.what == step::add_learner);
  CHECK(s.who.v == 4);
  t.join(4, false, 10);
  s = t.next();
  CHECK(s.what == step::none); // it lacks 990 entries
  CHECK(s.pending);
  t.member(4).match = 1000 - node::limits::promotion_lag_max;
  CHECK(t.next().what == step::promote);
  t.silence(4);
  CHECK(t.next().what == step::none); // nobody hears it
  t.member(4).contact_ms = 1;
  t.member(4).voter = true;
  s = t.next();
  CHECK(s.what == step::write);
  REQUIRE(t.apply(s.change));
  CHECK(!t.next().pending);
  member_order o;
  o.what = op::add;
  o.row.name = "m4";
  CHECK(fulfilled(o, *t.view(), t.g));
  CHECK(even_warning(4).find("just as 3 do") != std::string::npos);
  CHECK(even_warning(5).empty());
}

TEST_CASE("nobody votes, or counts as taken in, who never answered, however young the log is") {
  town t(3);
  t.g.last = 5;
  REQUIRE(t.order(op::add, "m4"));
  t.join(4, false, 0);
  CHECK(t.next().what == step::none);
  CHECK(t.next().pending);
  t.member(4).match = 3;
  CHECK(t.next().what == step::promote);
}

TEST_CASE("an id is never given twice, not even after a removal") {
  town t(3);
  REQUIRE(t.order(op::add, "m4"));
  t.join(4, true);
  REQUIRE(t.apply(t.next().change));
  REQUIRE(t.order(op::remove, "m4", "o2"));
  CHECK(t.next().what == step::remove);
  t.leave(4);
  const auto s = t.next();
  CHECK(s.what == step::write);
  REQUIRE(t.apply(s.change));
  CHECK(!find_master(*t.view(), "m4"));
  REQUIRE(t.order(op::add, "m4", "o3"));
  CHECK(find_master(*t.view(), "m4")->id.v == 5);
}

TEST_CASE("members without a row keep their ids to themselves") {
  town t(1);
  t.join(7, true);
  REQUIRE(t.order(op::add, "m8"));
  CHECK(find_master(*t.view(), "m8")->id.v == 8);
}

TEST_CASE("an order that another leader began goes on; the same order by somebody else is refused") {
  town t(3);
  REQUIRE(t.order(op::add, "m4", "o1"));
  CHECK(!t.begin(op::add, "m4", "o1").refused);
  CHECK(sentence(t.begin(op::add, "m4", "o2")).find("belongs to the group already") != std::string::npos);
}

TEST_CASE("two leaders' plans of one state: only one of them is applied") {
  town t(3);
  auto a = t.begin(op::add, "m4", "o1"), b = t.begin(op::add, "m5", "o2");
  CHECK(t.apply(*a.change));
  CHECK(!t.apply(*b.change)); // both had taken id 4
}

TEST_CASE("refusals name who is meant and what to do") {
  town t(3);
  CHECK(sentence(t.begin(op::remove, "m9")).find("the group has m1, m2, m3") != std::string::npos);
  CHECK(sentence(t.begin(op::add, "M 4")).find("no name for a master") != std::string::npos);
  member_order o;
  o.what = op::add;
  o.row.name = "m4";
  o.row.address = "somewhere";
  CHECK(sentence(begin_order(o, "o", *t.view(), t.g)).find("no IPv4 address") != std::string::npos);
  o.row.address = "10.0.0.2";
  CHECK(sentence(begin_order(o, "o", *t.view(), t.g)).find("belongs to m2 (id 2, 10.0.0.2) already") !=
        std::string::npos);
}

TEST_CASE("nobody is removed whom the majority needs") {
  town t(3);
  t.silence(3);
  CHECK(sentence(t.begin(op::remove, "m2")).find("m3 cannot be heard") != std::string::npos);
  CHECK(!t.begin(op::remove, "m3").refused); // the dead one may go
  town one(1);
  CHECK(sentence(one.begin(op::remove, "m1")).find("only master that votes") != std::string::npos);
}

TEST_CASE("a leader that is to go hands over first") {
  town t(3);
  REQUIRE(t.order(op::remove, "m1"));
  CHECK(t.next().what == step::hand_over);
  t.g.self = t.g.leader = store::member_id{2};
  CHECK(t.next().what == step::remove);
  CHECK(t.next().who.v == 1);
}

TEST_CASE("a learner stays one until it is promoted; only a voter can take the lead") {
  town t(3);
  member_order o;
  o.what = op::add;
  o.row = row(0, "m4");
  o.row.address = "10.0.0.44";
  o.learner = true;
  REQUIRE(t.apply(*begin_order(o, "o1", *t.view(), t.g).change));
  t.join(4, false);
  REQUIRE(t.apply(t.next().change));
  CHECK(!t.next().pending);
  CHECK(sentence(t.begin(op::transfer, "m4")).find("promote it before it can lead") != std::string::npos);
  REQUIRE(t.order(op::promote, "m4", "o2"));
  CHECK(t.next().what == step::promote);
  CHECK(t.begin(op::transfer, "m1").done);
  t.silence(2);
  CHECK(sentence(t.begin(op::transfer, "m2")).find("cannot be heard") != std::string::npos);
}

TEST_CASE("a row whose member was taken out by other means goes too; one that is coming in stays") {
  town t(3);
  t.leave(3);
  const auto s = t.next();
  CHECK(s.what == step::write);
  REQUIRE(t.apply(s.change));
  CHECK(!find_master(*t.view(), "m3"));
}

TEST_CASE("the list tells role, lag, contact and health") {
  town t(3);
  t.silence(3);
  t.member(2).match = 990;
  const auto list = json::value(member_list(*t.view(), t.g));
  const auto& m = jq::arr(list, {"members"});
  REQUIRE(m.size() == 3);
  CHECK(jq::str(list, {"leader"}) == "m1");
  CHECK(jq::str(m[0], {"role"}) == "leader");
  CHECK(jq::num(m[1], {"lag"}) == 10);
  CHECK(jq::str(m[1], {"health"}) == "ok");
  CHECK(jq::str(m[2], {"health"}) == "down");
}

TEST_CASE("paths become orders, and what is no order is refused") {
  const auto order = [](const char* method, const char* path, const char* body = "") {
    own_call c;
    c.method = method;
    c.path = path;
    c.body = body;
    return order_of(c);
  };
  CHECK(order("GET", "/troupe/v1/members")->what == op::list);
  const auto add = order("POST", "/troupe/v1/members", R"({"name":"m4","address":"10.0.0.4","apiPort":7443})");
  REQUIRE(add.has_value());
  CHECK(add->row.api_port == 7443);
  CHECK(add->row.actors_port == 6444);
  CHECK(order("DELETE", "/troupe/v1/members/m4")->row.name == "m4");
  CHECK(order("POST", "/troupe/v1/members/m4/promote")->what == op::promote);
  CHECK(order("POST", "/troupe/v1/leader", R"({"name":"m2"})")->row.name == "m2");
  CHECK(order("PUT", "/troupe/v1/members").error().code == 405);
  CHECK(order("GET", "/troupe/v1/members/m4").error().code == 405);
  CHECK(order("POST", "/troupe/v1/members/m4/demote").error().code == 404);
  CHECK(order("POST", "/troupe/v1/members", "[]").error().code == 400);
  CHECK(order("POST", "/troupe/v1/members", R"({"name":"m4","apiPort":70000})").error().code == 400);
}
