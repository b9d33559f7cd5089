#include "actors/controllers/controllers.hpp"

#include "actors/controllers/accounts/account_controllers.hpp"
#include "actors/controllers/deployment/deployment_controller.hpp"
#include "actors/controllers/endpoints/endpoints_controllers.hpp"
#include "actors/controllers/events/event_expiry.hpp"
#include "actors/controllers/garbage/garbage_collector.hpp"
#include "actors/controllers/limits.hpp"
#include "actors/controllers/manager_core.hpp"
#include "actors/controllers/namespaces/namespace_controller.hpp"
#include "actors/controllers/node_ipam/node_ipam_controller.hpp"
#include "actors/controllers/node_lifecycle/node_lifecycle_controller.hpp"
#include "actors/controllers/rbac/role_aggregation.hpp"
#include "actors/controllers/replica_set/replica_set_controller.hpp"
#include "actors/support/clock.hpp"
#include "actors/support/event_recorder.hpp"
#include "actors/support/feed.hpp"
#include "actors/support/limits.hpp"
#include "api/schema/registry.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <caf/stateful_actor.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <set>

namespace troupe {

namespace {

using step_atom = caf::atom_constant<caf::atom("step")>;
using due_atom = caf::atom_constant<caf::atom("due")>;
using namespace ctl;

struct controllers_state {
  controllers_state(caf::event_based_actor* s) : self(s) {}

  void start(controller_options o);
  void add_controllers();
  void wake(int tag);
  bool drain(feed& f);
  void pump(std::string_view table, store::revision upto);
  void step();
  void due(std::uint64_t generation);
  void keep_going();
  void execute(const task& t);
  request_ptr call(const action& a) const;
  void answered(std::uint64_t id, const response_ptr& r, const std::string& table);
  void tell(const std::string& controller, const note& n);
  sys_micros now() const { return wall_now(self->clock()); }

  caf::event_based_actor* self;
  controller_options options;
  counters_ptr counters;
  std::shared_ptr<spdlog::logger> log;
  std::unique_ptr<manager_core> core;
  std::vector<std::unique_ptr<feed>> feeds;
  std::map<std::string, feed*, std::less<>> by_table;
  std::map<std::string, event_recorder> recorders;
  bool synced = false, step_pending = false;
  std::uint64_t timer_generation = 0;
  std::optional<sys_micros> timer_at;

  static inline const char* name = "controllers";
};

void controllers_state::start(controller_options o) {
  options = std::move(o);
  const auto& env = options.env;
  if (env.board) counters = env.board->enter("node/controllers");
  log = component_log("controllers");
  core = std::make_unique<manager_core>(
      [this](std::string_view table) {
        auto it = by_table.find(table);
        return it == by_table.end() ? store::revision{0} : it->second->cursor();
      },
      [this](const std::string& controller, const note& n) { tell(controller, n); });
  add_controllers();
  std::set<std::string> tables;
  for (const auto& r : schema::registry::get().resources())
    if (r.stored) tables.insert(r.store_key);
  for (const auto& t : tables) {
    auto tag = static_cast<int>(feeds.size());
    feeds.push_back(std::make_unique<feed>(env.state, env.hub, t, feed::waker(self, tag)));
    by_table.emplace(t, feeds.back().get());
  }
  for (auto& f : feeds)
    f->start();
}

void controllers_state::add_controllers() {
  std::chrono::microseconds initial = options.backoff_initial, max = options.backoff_max;
  auto add = [&]<class C>(std::type_identity<C>, const char* called, auto&&... more) {
    core->add(std::make_unique<C>(called, initial, max, std::forward<decltype(more)>(more)...));
  };
  using std::type_identity;
  add(type_identity<deployment_controller>{}, "deployment-controller");
  add(type_identity<replica_set_controller>{}, "replicaset-controller");
  add(type_identity<endpoints_controller>{}, "endpoint-slice-controller", endpoints_controller::writes::slices);
  add(type_identity<endpoints_controller>{}, "endpoint-controller", endpoints_controller::writes::endpoints);
  add(type_identity<namespace_controller>{}, "namespace-controller");
  add(type_identity<garbage_collector>{}, "garbage-collector-controller");
  add(type_identity<service_account_controller>{}, "service-account-controller");
  if (!options.ca_pem.empty())
    add(type_identity<root_ca_controller>{}, "root-ca-certificate-publisher", options.ca_pem);
  add(type_identity<node_lifecycle_controller>{}, "node-controller",
      node_lifecycle_options{options.node_monitor_grace, options.node_startup_grace, options.node_orphan_quarantine});
  if (!options.node_cidr_range.empty())
    add(type_identity<node_ipam_controller>{}, "node-ipam-controller", options.node_cidr_range, options.node_cidr_bits);
  add(type_identity<role_aggregation>{}, "clusterrole-aggregation-controller");
  add(type_identity<event_expiry>{}, "event-expiry", std::chrono::microseconds{options.event_ttl});
}

bool controllers_state::drain(feed& f) {
  const auto& table = f.table();
  return f.drain([&](const store::view& v) { core->relist(table, v, now()); },
                 [&](const store::event& e) { core->observe(table, e, now()); });
}

void controllers_state::wake(int tag) {
  auto& f = *feeds.at(static_cast<std::size_t>(tag));
  if (drain(f)) f.again();
  if (!synced && std::all_of(feeds.begin(), feeds.end(), [](const auto& x) { return x->synced(); })) {
    synced = true;
    core->all_synced(now());
    log->info("synced {} tables: {} pods, {} nodes", feeds.size(), core->cache().count("pods"),
              core->cache().count("nodes"));
  }
  keep_going();
}

void controllers_state::pump(std::string_view table, store::revision upto) {
  auto it = by_table.find(table);
  if (it == by_table.end()) return;
  auto& f = *it->second;
  if (!f.synced()) return;
  bool more = true;
  while (more && f.cursor() < upto) {
    more = drain(f);
    if (more && f.cursor() >= upto) f.again(); // the rest in its own turn
  }
}

void controllers_state::keep_going() {
  if (!synced) return;
  if (auto next = core->flush(now()); next && (!timer_at || *next < *timer_at)) {
    timer_at = next;
    auto wait = std::max(std::chrono::microseconds{1000}, *next - now());
    self->delayed_send(self, wait, due_atom::value, ++timer_generation);
  }
  if (step_pending || !core->ready() || core->in_flight() >= options.writes_in_flight_max) return;
  step_pending = true;
  self->send(self, step_atom::value);
}

void controllers_state::due(std::uint64_t generation) {
  if (generation != timer_generation) return;
  timer_at.reset();
  keep_going();
}

void controllers_state::step() {
  step_pending = false;
  if (core->in_flight() >= options.writes_in_flight_max) return;
  auto view = options.env.state->current();
  auto budget = std::min<std::size_t>(limits::controller_step_tasks, options.writes_in_flight_max - core->in_flight());
  auto tasks = core->step(*view, now(), budget, [this](store::revision upto) {
    for (auto& f : feeds)
      pump(f->table(), upto);
  });
  for (const auto& t : tasks)
    execute(t);
  keep_going();
}

request_ptr controllers_state::call(const action& a) const {
  const auto& env = options.env;
  switch (a.what) {
  case action::kind::create: return calls::create(env, a.ref, a.ns, a.doc, a.name, a.subresource);
  case action::kind::update: return calls::update(env, a.ref, a.doc, a.subresource);
  case action::kind::merge_patch: return calls::merge_patch(env, a.ref, a.ns, a.name, a.doc, a.subresource);
  case action::kind::strategic_patch: return calls::strategic_patch(env, a.ref, a.ns, a.name, a.doc, a.subresource);
  case action::kind::remove: break;
  }
  return calls::remove(env, a.ref, a.ns, a.name, a.doc);
}

void controllers_state::execute(const task& t) {
  auto id = t.id;
  auto table = table_of(t.what->ref);
  self->request(options.env.api, limits::api_timeout, call(*t.what))
      .then([this, id, table](const response_ptr& r) { answered(id, r, table); },
            [this, id, table](caf::error&) { answered(id, nullptr, table); });
}

void controllers_state::answered(std::uint64_t id, const response_ptr& r, const std::string& table) {
  answer a;
  if (r) {
    a.code = r->code;
    a.object = r->object;
    if (r->error) {
      a.reason = r->error->reason;
      a.message = r->error->message;
      const auto& causes = r->error->causes;
      a.namespace_terminating =
          std::any_of(causes.begin(), causes.end(), [](const auto& c) { return c.reason == "NamespaceTerminating"; });
      log->debug("{} {}: {}", table, a.code, a.message);
    }
    // What was just written is in the hub: seeing it now lets the key go on at once.
    if (a.object) pump(table, a.object->mod);
  }
  core->finished(id, a, now());
  keep_going();
}

void controllers_state::tell(const std::string& controller, const note& n) {
  auto it = recorders.find(controller);
  if (it == recorders.end())
    it = recorders.emplace(controller, event_recorder{self, options.env, controller, ""}).first;
  it->second.record(n.about, n.type, n.reason, n.message);
}

caf::behavior controllers_behavior(caf::stateful_actor<controllers_state>* self, controller_options o) {
  self->set_default_handler(caf::drop);
  self->state.start(std::move(o));
  auto* s = &self->state;
  auto touch = [self, s] {
    if (s->counters) s->counters->touch(self);
  };
  return {[=](feed_wake, int tag) {
            touch();
            s->wake(tag);
          },
          [=](step_atom) {
            touch();
            s->step();
          },
          [=](due_atom, std::uint64_t generation) { s->due(generation); }};
}

} // namespace

caf::actor spawn_controllers(caf::actor_system& sys, controller_options options) {
  return sys.spawn(controllers_behavior, std::move(options));
}

} // namespace troupe
