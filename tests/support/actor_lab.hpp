// actor_lab: a CAF system on the testing scheduler and virtual clock, with a fake API server that components talk to.
// Owner:  one test.
// Units:  virtual time; step() moves it.
// Errors: -
// Source: ours.
#pragma once

#include "actors/protocol.hpp"
#include "actors/support/component.hpp"
#include "tests/support/fake_cluster.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <chrono>
#include <string>

namespace troupe::test {

class actor_lab {
  struct config : caf::actor_system_config {
    config() { set("scheduler.policy", caf::atom("testing")); }
  };
  config config_;

public:
  actor_lab() {
    // Shared, not owned: the lab outlives the actors it stops.
    state = std::shared_ptr<store::published>(&api, [](auto*) {});
    hub = std::shared_ptr<store::watch_hub>(&api, [](auto*) {});
    api_handle = system.spawn([this]() -> api_actor::behavior_type {
      return {[this](const api_call_ptr& c) { c->done(api.handle(*c->req)); },
              [this](const request_ptr& r) -> response_ptr { return api.handle(*r); }, [](const txns_done_ptr&) {}};
    });
  }
  ~actor_lab() {
    caf::anon_send_exit(api_handle, caf::exit_reason::kill);
    run();
  }

  component_env env(const std::string& user) {
    component_env e;
    e.api = api_handle;
    e.state = state;
    e.hub = hub;
    e.board = board;
    e.who.user = user;
    return e;
  }
  void run() { scheduler.run(); }
  /// Moves time in small steps: a timer re-armed by a handler starts from the time it fired at.
  void step(std::chrono::milliseconds d) {
    for (auto left = d; left.count() > 0;) {
      auto part = std::min(left, std::chrono::milliseconds{500});
      api.now += part;
      scheduler.advance_time(part);
      scheduler.run();
      left -= part;
    }
  }
  void stop(caf::actor& a) {
    caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
    run();
    a = nullptr;
  }

  fake_cluster api;
  caf::actor_system system{config_};
  caf::scheduler::test_coordinator& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  std::shared_ptr<actor_board> board = std::make_shared<actor_board>();
  std::shared_ptr<store::published> state;
  std::shared_ptr<store::watch_hub> hub;
  api_actor api_handle;
};

} // namespace troupe::test
