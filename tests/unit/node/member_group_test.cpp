// The keeper of the masters over real Raft actors and stores: what the planner asks for is what the group does.
#include "actors/node/member_keeper.hpp"
#include "tests/unit/raft/group_lab.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::node;
using namespace std::chrono_literals;
using store::member_id;
using op = member_order::op;

namespace {

struct town {
  ::group_lab lab{3};
  std::map<member_id, members_actor> keepers;

  town() {
    const auto lead = lab.await_leader();
    store::txn t;
    std::vector<master_row> rows;
    for (std::uint64_t i = 1; i <= 3; ++i) {
      rows.push_back(row(i));
      put_master(t, *view(lead), rows.back());
      keep(member_id{i});
    }
    note_member_ids(t, *view(lead), rows);
    auto p = std::make_shared<propose>();
    p->change = std::move(t);
    caf::anon_send(lab.members[lead].raft.raft, std::move(p), lab.members[lead].sink);
    lab.run(1s);
  }
  ~town() {
    for (auto& [id, k] : keepers)
      caf::anon_send_exit(k, caf::exit_reason::user_shutdown);
    keepers.clear();
    lab.scheduler.run();
  }
  static master_row row(std::uint64_t i) {
    master_row r;
    r.id = member_id{i};
    r.name = "m" + std::to_string(i);
    r.address = "10.0.0." + std::to_string(i);
    return r;
  }
  store::view_ptr view(member_id at) { return lab.members[at].raft.state->current(); }
  void keep(member_id id) {
    auto& r = lab.members[id].raft;
    keepers[id] = spawn_member_keeper(lab.system, {r.raft, r.group, r.state, r.hub, nullptr});
  }
  /// Asks at a member; `meanwhile` runs after each 100 ms until the answer is there.
  std::pair<int, json::value> order(member_id at, op what, const std::string& name,
                                    const std::function<void()>& meanwhile = {}) {
    auto o = std::make_shared<member_order>();
    o->what = what;
    o->row.name = name;
    o->row.address = "10.0.0." + name.substr(1);
    response_ptr got;
    auto asker = lab.system.spawn([&got, to = keepers[at], o](caf::event_based_actor* self) {
      self->request(to, 300s, member_order_ptr(o)).then([&got](const response_ptr& r) { got = r; }, [](caf::error&) {});
    });
    for (int i = 0; i < 600 && !got; ++i) {
      lab.run(100ms);
      if (meanwhile) meanwhile();
    }
    caf::anon_send_exit(asker, caf::exit_reason::kill);
    lab.scheduler.run();
    if (!got) return {0, nullptr};
    return {got->code, json::parse(got->error ? got->error->to_bytes() : got->body)};
  }
};

} // namespace

TEST_CASE("keeper over Raft: a fourth master comes in by way of a follower, then the leader is taken out") {
  town t;
  const auto follower = t.lab.follower();
  for (int i = 0; i < 50; ++i)
    t.lab.propose(t.lab.leader(), "k" + std::to_string(i));
  const auto added = t.order(follower, op::add, "m4", [&] {
    if (!t.lab.members.contains(member_id{4}) && find_master(*t.view(t.lab.await_leader()), "m4"))
      t.lab.start(member_id{4}, true);
  });
  CHECK(added.first == 200);
  REQUIRE(t.lab.members.contains(member_id{4}));
  t.keep(member_id{4});
  t.lab.run(1s);
  CHECK(t.lab.same_everywhere());

  const auto old = t.lab.await_leader();
  const auto name = find_master(*t.view(old), old)->name;
  const auto at = t.lab.follower();
  const auto removed = t.order(at, op::remove, name);
  CHECK(removed.first == 200);
  const auto lead = t.lab.await_leader();
  CHECK(lead != old);
  CHECK(!find_master(*t.view(lead), name));
  const auto list = t.order(lead, op::list, "m0").second;
  CHECK(jq::arr(list, {"members"}).size() == 3);
  for (const auto& m : jq::arr(list, {"members"})) {
    CHECK(jq::flag(m, {"voter"}));
    CHECK(jq::str(m, {"health"}) == "ok");
  }
}

TEST_CASE("keeper over Raft: the lead goes where it is told, and nobody is removed whom the majority needs") {
  town t;
  const auto to = t.lab.follower();
  const auto name = find_master(*t.view(to), to)->name;
  CHECK(t.order(to, op::transfer, name).first == 200);
  CHECK(t.lab.await_leader() == to);
  const auto gone = t.lab.follower();
  t.lab.cut.insert(gone);
  t.lab.run(std::chrono::milliseconds(node::limits::contact_max) + 1s);
  member_id other;
  for (const auto& [id, m] : t.lab.members)
    if (id != to && id != gone) other = id;
  const auto refused = t.order(to, op::remove, find_master(*t.view(to), other)->name);
  CHECK(refused.first == 409);
  CHECK(jq::str(refused.second, {"message"}).find("would lose its majority") != std::string_view::npos);
}
