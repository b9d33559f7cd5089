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

struct lab {
  lab_config config;
  caf::actor_system system{config};
  caf::scheduler::test_coordinator& sched = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  std::shared_ptr<actor_board> board = std::make_shared<actor_board>();

  void step(caf::timespan d) {
    sched.advance_time(d);
    sched.run();
  }
};

/// Counts its starts and appends its name to a log when it ends.
struct probe {
  int starts = 0;
  caf::actor live;
};

child_spec child(lab& l, probe& p, std::string name, std::vector<std::string>& ended,
                 restart_rule rule = restart_rule::always) {
  return {name, rule,
          [&l, &p, name, &ended] {
            ++p.starts;
            p.live = l.system.spawn([name, &ended](caf::event_based_actor* self) -> caf::behavior {
              self->attach_functor([name, &ended] { ended.push_back(name); });
              return {[](int) {}};
            });
            return p.live;
          },
          false};
}

bool stop(lab& l, const caf::actor& supervisor) {
  caf::scoped_actor self{l.system};
  auto asked = self->request(supervisor, caf::infinite, stop_children::value);
  l.sched.run();
  bool ok = false;
  asked.receive([&](bool b) { ok = b; }, [](caf::error&) {});
  return ok;
}

} // namespace

TEST_CASE("a child that dies is started again after its delay, others are left alone") {
  lab l;
  probe a, b;
  std::vector<std::string> ended;
  auto s = spawn_supervisor(l.system, l.board, {child(l, a, "a", ended), child(l, b, "b", ended)}, [](std::string) {});
  l.sched.run();
  CHECK(a.starts == 1);
  caf::anon_send_exit(a.live, caf::exit_reason::kill);
  l.sched.run();
  CHECK(a.starts == 1);
  l.step(node::limits::restart_delay_min);
  CHECK(a.starts == 2);
  CHECK(b.starts == 1);
  CHECK(stop(l, s));
}

TEST_CASE("children that are to forget what they know end and start again, but for foreign ones") {
  lab l;
  probe a, b, store;
  std::vector<std::string> ended;
  auto foreign = child(l, store, "store", ended, restart_rule::fatal);
  foreign.foreign = true;
  bool fatal = false;
  auto s = spawn_supervisor(l.system, l.board, {foreign, child(l, a, "a", ended), child(l, b, "b", ended)},
                            [&](std::string) { fatal = true; });
  l.sched.run();
  caf::anon_send(s, renew_children::value);
  caf::anon_send(s, renew_children::value); // told twice, done once
  l.sched.run();
  CHECK(ended == std::vector<std::string>{"a", "b"});
  l.step(node::limits::restart_delay_min);
  CHECK(a.starts == 2);
  CHECK(b.starts == 2);
  CHECK(store.starts == 1);
  CHECK_FALSE(fatal);
  l.step(node::limits::stop_patience); // nobody is overdue any more
  CHECK(ended.size() == 2);
  CHECK(stop(l, s));
  caf::anon_send_exit(store.live, caf::exit_reason::kill);
  l.sched.run();
}

TEST_CASE("the delay doubles while a child keeps dying and is short again after a calm time") {
  CHECK(next_restart_delay(0ms, 5ms) == node::limits::restart_delay_min);
  CHECK(next_restart_delay(200ms, 5ms) == 400ms);
  CHECK(next_restart_delay(20s, 5ms) == node::limits::restart_delay_max);
  CHECK(next_restart_delay(30s, 61s) == node::limits::restart_delay_min);
}

TEST_CASE("children stop in reverse order and foreign ones are left to their owner") {
  lab l;
  probe a, b, f;
  std::vector<std::string> ended;
  auto foreign = child(l, f, "foreign", ended, restart_rule::fatal);
  foreign.foreign = true;
  auto s = spawn_supervisor(l.system, l.board, {foreign, child(l, a, "a", ended), child(l, b, "b", ended)},
                            [](std::string) {});
  l.sched.run();
  CHECK(stop(l, s));
  CHECK(ended == std::vector<std::string>{"b", "a"});
  caf::anon_send_exit(f.live, caf::exit_reason::kill);
  f.live = nullptr;
  l.sched.run();
}

TEST_CASE("the death of a fatal child is told at once") {
  lab l;
  probe a;
  std::vector<std::string> ended;
  std::string told;
  auto s = spawn_supervisor(l.system, l.board, {child(l, a, "raft", ended, restart_rule::fatal)},
                            [&](std::string why) { told = std::move(why); });
  l.sched.run();
  caf::anon_send_exit(a.live, caf::exit_reason::kill);
  l.sched.run();
  CHECK(told.find("raft died") == 0);
  CHECK(stop(l, s));
}

TEST_CASE("a child that does not stop is killed when its patience is over") {
  lab l;
  caf::actor stubborn;
  auto s = spawn_supervisor(l.system, l.board,
                            {{"stubborn", restart_rule::always,
                              [&] {
                                stubborn = l.system.spawn([](caf::event_based_actor* self) -> caf::behavior {
                                  self->set_exit_handler([](caf::exit_msg&) {});
                                  return {[](int) {}};
                                });
                                return stubborn;
                              },
                              false}},
                            [](std::string) {});
  l.sched.run();
  caf::scoped_actor self{l.system};
  auto asked = self->request(s, caf::infinite, stop_children::value);
  l.sched.run();
  l.step(node::limits::stop_patience);
  bool ok = false;
  asked.receive([&](bool b) { ok = b; }, [](caf::error&) {});
  CHECK(ok);
}
