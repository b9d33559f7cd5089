#include "actors/scheduler/scheduler.hpp"

#include "actors/scheduler/schedule_planner.hpp"
#include "actors/scheduler/schedule_queue.hpp"
#include "actors/support/calls.hpp"
#include "actors/support/clock.hpp"
#include "actors/support/event_recorder.hpp"
#include "actors/support/feed.hpp"
#include "actors/support/limits.hpp"
#include "api/meta/object_meta.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <caf/stateful_actor.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <unordered_map>

namespace troupe {

namespace {

using turn_atom = caf::atom_constant<caf::atom("turn")>;
using due_atom = caf::atom_constant<caf::atom("due")>;
using namespace sched;

enum feed_tag : int { tag_pods, tag_nodes, tag_namespaces, tag_claims };

json::value pod_reference(const pod_request& p) {
  return json::object{
      {"kind", "Pod"},
      {"apiVersion", "v1"},
      {"metadata", {{"name", p.name}, {"namespace", p.ns}, {"uid", p.uid}, {"resourceVersion", p.resource_version}}}};
}

/// Everything the actor owns; handlers below are one-liners into it.
struct scheduler_state {
  scheduler_state(caf::event_based_actor* s) : self(s) {}

  void start(scheduler_options o);
  void wake(int tag);
  void turn();
  void due(std::uint64_t generation);

  // pods and nodes as the watch tells them
  void pod_seen(const pod_ptr& p);
  void pod_gone(const std::string& uid);
  void sync_pods(const store::view& now);
  void sync_nodes(const store::view& now);
  void node_event(const store::event& e);
  void pod_event(const store::event& e);
  void drain_namespaces();

  // one pod
  void schedule(const pod_ptr& p);
  std::string claim_fault(const pod_request& p) const;
  void bind(const pod_ptr& p, const std::string& node);
  void bound(const pod_ptr& p, const std::string& node, const response_ptr& r);
  void refuse(const pod_ptr& p, const std::string& why);

  void keep_going();
  void rearm();
  bool ours(const pod_request& p) const { return p.scheduler_name == options.scheduler_name; }
  sys_micros now() const { return wall_now(self->clock()); }

  caf::event_based_actor* self;
  scheduler_options options;
  counters_ptr counters;
  std::shared_ptr<spdlog::logger> log;
  std::unique_ptr<event_recorder> events;
  std::unique_ptr<feed> pods, nodes, namespaces, claims;
  cluster_state cluster;
  std::unique_ptr<schedule_queue> queue;
  schedule_planner planner;
  random_source ties{1};
  std::unordered_map<std::string, std::string> told; // uid -> refusal that was written last
  std::size_t in_flight = 0;
  bool turn_pending = false;
  std::uint64_t timer_generation = 0;
  std::optional<sys_micros> timer_at;

  static inline const char* name = "scheduler";
};

void scheduler_state::start(scheduler_options o) {
  options = std::move(o);
  const auto& env = options.env;
  if (env.board) counters = env.board->enter("node/scheduler");
  log = component_log("scheduler");
  events = std::make_unique<event_recorder>(self, env, options.scheduler_name, "");
  queue = std::make_unique<schedule_queue>(
      queue_options{options.backoff_initial, options.backoff_max, options.unschedulable_retry});
  planner = schedule_planner{{options.percentage_of_nodes_to_score}};
  ties = random_source{options.seed};
  auto make = [&](const char* table, int tag) {
    auto f = std::make_unique<feed>(env.state, env.hub, table, feed::waker(self, tag));
    f->start();
    return f;
  };
  namespaces = make("namespaces", tag_namespaces);
  nodes = make("nodes", tag_nodes);
  claims = make("persistentvolumeclaims", tag_claims);
  pods = make("pods", tag_pods);
}

void scheduler_state::wake(int tag) {
  bool more = false;
  switch (tag) {
  case tag_pods:
    more = pods->drain([this](const store::view& v) { sync_pods(v); }, [this](const store::event& e) { pod_event(e); });
    if (more) pods->again();
    break;
  case tag_nodes:
    more =
        nodes->drain([this](const store::view& v) { sync_nodes(v); }, [this](const store::event& e) { node_event(e); });
    if (more) nodes->again();
    break;
  case tag_claims:
    more = claims->drain([](const store::view&) {}, [](const store::event&) {});
    if (more) claims->again();
    queue->move(now(), [](const pod_request& p) { return !p.claims.empty(); });
    break;
  default: drain_namespaces();
  }
  keep_going();
}

void scheduler_state::drain_namespaces() {
  auto put = [this](const store::object_ptr& o) { cluster.put_namespace(o->name, o->meta().labels); };
  auto more = namespaces->drain(
      [&](const store::view& v) {
        v.scan("namespaces", {}, [&](const store::object_ptr& o) {
          put(o);
          return true;
        });
      },
      [&](const store::event& e) {
        if (e.type == store::event_type::deleted)
          cluster.drop_namespace(e.current->name);
        else
          put(e.current);
      });
  if (more) namespaces->again();
}

void scheduler_state::sync_pods(const store::view& now_view) {
  cluster.clear_pods();
  queue->clear();
  now_view.scan("pods", {}, [&](const store::object_ptr& o) {
    pod_seen(extract_pod(o->parse()));
    return true;
  });
  log->info("synced {} placed pods, {} waiting, at revision {}", cluster.placed_count(), queue->size(), now_view.rev());
}

void scheduler_state::sync_nodes(const store::view& now_view) {
  cluster.clear_nodes();
  now_view.scan("nodes", {}, [&](const store::object_ptr& o) {
    cluster.put_node(o->parse());
    return true;
  });
  queue->move(now());
}

void scheduler_state::node_event(const store::event& e) {
  auto changed =
      e.type == store::event_type::deleted ? cluster.drop_node(e.current->name) : cluster.put_node(e.current->parse());
  if (changed) queue->move(now());
}

void scheduler_state::pod_event(const store::event& e) {
  if (e.type == store::event_type::deleted)
    pod_gone(e.current->meta().uid);
  else
    pod_seen(extract_pod(e.current->parse()));
}

void scheduler_state::pod_gone(const std::string& uid) {
  queue->remove(uid);
  told.erase(uid);
  if (cluster.remove(uid)) queue->move(now());
}

void scheduler_state::pod_seen(const pod_ptr& p) {
  if (p->finished || (p->node_name.empty() && p->deleting)) return pod_gone(p->uid);
  if (!p->node_name.empty()) {
    auto known = cluster.pod(p->uid);
    auto news = !known || known->labels != p->labels || known->deleting != p->deleting;
    cluster.place(p, p->node_name);
    queue->done(p->uid);
    told.erase(p->uid);
    if (news) queue->move(now(), [](const pod_request& q) { return !q.affinity.empty() || !q.spread.empty(); });
    return;
  }
  if (!ours(*p) || cluster.assumed(p->uid)) return;
  queue->put(p, now());
}

void scheduler_state::keep_going() {
  if (auto next = queue->flush(now()); next && (!timer_at || *next < *timer_at)) timer_at = next, rearm();
  // Nothing is decided before both pictures exist: a node without its pods looks empty.
  if (turn_pending || !queue->ready() || !pods->synced() || !nodes->synced()) return;
  if (in_flight >= options.bindings_in_flight_max) return;
  turn_pending = true;
  self->send(self, turn_atom::value);
}

void scheduler_state::rearm() {
  auto wait = std::max(std::chrono::microseconds{1000}, *timer_at - now());
  self->delayed_send(self, wait, due_atom::value, ++timer_generation);
}

void scheduler_state::due(std::uint64_t generation) {
  if (generation != timer_generation) return;
  timer_at.reset();
  keep_going();
}

void scheduler_state::turn() {
  turn_pending = false;
  for (std::size_t i = 0; i < options.pods_per_turn && in_flight < options.bindings_in_flight_max; ++i) {
    auto p = queue->pop();
    if (!p) break;
    schedule(p);
  }
  keep_going();
}

std::string scheduler_state::claim_fault(const pod_request& p) const {
  if (p.claims.empty()) return {};
  auto view = options.env.state->current();
  for (const auto& claim : p.claims) {
    auto o = view->get("persistentvolumeclaims", p.ns, claim);
    if (!o) return "persistentvolumeclaim \"" + claim + "\" not found";
    auto doc = o->parse();
    if (jq::str(doc, {"status", "phase"}) != "Bound") return "pod has unbound immediate PersistentVolumeClaims";
    auto volume = view->get("persistentvolumes", {}, jq::str(doc, {"spec", "volumeName"}));
    if (!volume) return "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
    if (jq::find(volume->parse(), {"spec", "nodeAffinity"}))
      return "persistentvolume of claim \"" + claim + "\" is tied to nodes, which this scheduler does not support";
  }
  return {};
}

void scheduler_state::schedule(const pod_ptr& p) {
  if (auto fault = claim_fault(*p); !fault.empty()) {
    auto n = std::to_string(cluster.nodes().size());
    return refuse(p, "0/" + n + " nodes are available: " + fault + ". preemption: 0/" + n +
                         " nodes are available: " + n + " Preemption is not helpful for scheduling.");
  }
  auto made = planner.choose(*p, cluster, ties);
  if (made.node.empty()) return refuse(p, schedule_planner::explain(made, *p, cluster));
  cluster.assume(p, made.node);
  bind(p, made.node);
}

void scheduler_state::bind(const pod_ptr& p, const std::string& node) {
  ++in_flight;
  json::object doc{{"apiVersion", "v1"},
                   {"kind", "Binding"},
                   {"metadata", {{"name", p->name}, {"namespace", p->ns}, {"uid", p->uid}}},
                   {"target", {{"apiVersion", "v1"}, {"kind", "Node"}, {"name", node}}}};
  auto req = calls::create(options.env, refs::pods, p->ns, std::move(doc), p->name, "binding");
  self->request(options.env.api, limits::api_timeout, std::move(req))
      .then([this, p, node](const response_ptr& r) { bound(p, node, r); },
            [this, p, node](caf::error&) { bound(p, node, nullptr); });
}

void scheduler_state::bound(const pod_ptr& p, const std::string& node, const response_ptr& r) {
  --in_flight;
  if (r && r->code < 400) {
    told.erase(p->uid);
    log->debug("bound {} to {}", p->key(), node);
    events->record(pod_reference(*p), "Normal", "Scheduled", "Successfully assigned " + p->key() + " to " + node);
  } else {
    // Gone meanwhile, or confirmed by the watch although the answer was lost: nothing to take back.
    if (cluster.forget(p->uid) && !(r && r->code == 404)) {
      log->info("binding {} to {} failed ({}): queued again", p->key(), node,
                r && r->error ? r->error->message : std::string{"no answer"});
      queue->retry(p, now());
      queue->move(now());
    } else {
      queue->done(p->uid);
    }
  }
  keep_going();
}

void scheduler_state::refuse(const pod_ptr& p, const std::string& why) {
  queue->refused(p, now());
  auto& last = told[p->uid];
  if (last == why) return;
  last = why;
  events->record(pod_reference(*p), "Warning", "FailedScheduling", why);
  if (p->stored_reason == "Unschedulable" && p->stored_message == why) return;
  json::object condition{{"type", "PodScheduled"},
                         {"status", "False"},
                         {"reason", "Unschedulable"},
                         {"message", why},
                         {"lastProbeTime", nullptr}};
  if (p->stored_reason.empty()) condition["lastTransitionTime"] = format_time(now());
  json::array conditions;
  conditions.emplace_back(std::move(condition));
  json::object patch{{"metadata", {{"uid", p->uid}}}};
  patch["status"] = json::object{{"conditions", std::move(conditions)}};
  auto req = calls::strategic_patch(options.env, refs::pods, p->ns, p->name, std::move(patch), "status");
  auto forget = [this, uid = p->uid] { told.erase(uid); }; // not written: tell again at the next attempt
  self->request(options.env.api, limits::api_timeout, std::move(req))
      .then(
          [forget](const response_ptr& r) {
            if (!r || r->code >= 400) forget();
          },
          [forget](caf::error&) { forget(); });
}

caf::behavior scheduler_behavior(caf::stateful_actor<scheduler_state>* self, scheduler_options o) {
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
          [=](turn_atom) {
            touch();
            s->turn();
          },
          [=](due_atom, std::uint64_t generation) { s->due(generation); }};
}

} // namespace

caf::actor spawn_scheduler(caf::actor_system& sys, scheduler_options options) {
  return sys.spawn(scheduler_behavior, std::move(options));
}

} // namespace troupe
