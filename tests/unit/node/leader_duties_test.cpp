#include "actors/node/leader_duties.hpp"

#include "actors/node/supervisor.hpp"

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::node;
using namespace std::chrono_literals;

namespace {

struct lab_config : caf::actor_system_config {
  lab_config() { set("scheduler.policy", caf::atom("testing")); }
};

/// A leader's duties on virtual time; each component notes when it starts and ends, as name@term.
struct lab {
  lab_config config;
  caf::actor_system system{config};
  caf::scheduler::test_coordinator& sched = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  std::shared_ptr<actor_board> board = std::make_shared<actor_board>();
  std::shared_ptr<group_board> group = std::make_shared<group_board>();
  std::vector<std::string> log;
  std::vector<caf::actor> live;
  int alive = 0, most_alive = 0;
  bool stubborn = false;

  duty make(const std::string& name) {
    return {name, [this, name](std::uint64_t term) {
              const auto who = name + "@" + std::to_string(term);
              log.push_back("+" + who);
              most_alive = std::max(most_alive, ++alive);
              auto a = system.spawn([this, who](caf::event_based_actor* self) -> caf::behavior {
                if (stubborn) self->set_exit_handler([](caf::exit_msg&) {});
                self->attach_functor([this, who] {
                  log.push_back("-" + who);
                  --alive;
                });
                return {[](int) {}};
              });
              live.push_back(a);
              return a;
            }};
  }
  void lead(std::uint64_t term, bool serving = true) {
    group_status s;
    s.member = store::member_id{1};
    s.role = serving ? raft::role::leader : raft::role::follower;
    s.leader = store::member_id{serving ? 1u : 2u};
    s.term = store::log_term{term};
    s.serving = serving;
    s.alone = false;
    group->set(s);
  }
  void run() { sched.run(); }
  void step(caf::timespan d) {
    sched.advance_time(d);
    sched.run();
  }
  bool stop(const caf::actor& duties) {
    caf::scoped_actor self{system};
    auto asked = self->request(duties, caf::infinite, stop_duties::value);
    sched.run();
    bool ok = false;
    asked.receive([&](bool b) { ok = b; }, [](caf::error&) {});
    live.clear();
    return ok;
  }
};

using strings = std::vector<std::string>;

} // namespace

TEST_CASE("duties run while this member leads, in order, with its term") {
  lab l;
  auto d = spawn_leader_duties(l.system, l.group, {l.make("a"), l.make("b")}, l.board);
  l.run();
  CHECK(l.log.empty());
  l.lead(3);
  l.run();
  CHECK(l.log == strings{"+a@3", "+b@3"});
  l.lead(4, false);
  l.run();
  CHECK(l.log == strings{"+a@3", "+b@3", "-b@3", "-a@3"});
  CHECK(l.stop(d));
}

TEST_CASE("a later term begins only after everything of the earlier one has ended") {
  lab l;
  auto d = spawn_leader_duties(l.system, l.group, {l.make("a")}, l.board);
  l.lead(3);
  l.run();
  SUBCASE("the loss was seen") {
    l.lead(4, false);
    l.lead(5);
  }
  SUBCASE("deposed and elected again before anybody looked") { l.lead(5); }
  l.run();
  CHECK(l.log == strings{"+a@3", "-a@3", "+a@5"});
  CHECK(l.most_alive == 1);
  CHECK(l.stop(d));
}

TEST_CASE("a component that does not stop is killed before the next term begins") {
  lab l;
  l.stubborn = true;
  auto d = spawn_leader_duties(l.system, l.group, {l.make("a")}, l.board);
  l.lead(3);
  l.run();
  l.stubborn = false;
  l.lead(4, false);
  l.run();
  l.lead(5);
  l.run();
  CHECK(l.log == strings{"+a@3"});
  l.step(node::limits::stop_patience);
  CHECK(l.log == strings{"+a@3", "-a@3", "+a@5"});
  CHECK(l.stop(d));
}

TEST_CASE("a component that dies is started again in the same term") {
  lab l;
  auto d = spawn_leader_duties(l.system, l.group, {l.make("a")}, l.board);
  l.lead(3);
  l.run();
  caf::anon_send_exit(l.live.front(), caf::exit_reason::kill);
  l.run();
  l.step(node::limits::restart_delay_min);
  CHECK(l.log == strings{"+a@3", "-a@3", "+a@3"});
  CHECK(l.stop(d));
}

TEST_CASE("an exit message ends the duties too, and nothing starts afterwards") {
  lab l;
  auto d = spawn_leader_duties(l.system, l.group, {l.make("a")}, l.board);
  l.lead(3);
  l.run();
  caf::anon_send_exit(d, caf::exit_reason::user_shutdown);
  d = nullptr;
  l.run();
  CHECK(l.log == strings{"+a@3", "-a@3"});
  l.lead(7);
  l.run();
  CHECK(l.log.size() == 2);
  l.live.clear();
}
