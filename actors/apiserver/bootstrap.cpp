#include "actors/apiserver/bootstrap.hpp"

#include "actors/apiserver/write.hpp"
#include "actors/support/clock.hpp"
#include "api/meta/object_meta.hpp"
#include "api/schema/conform.hpp"
#include "api/schema/defaulting.hpp"

#include <caf/actor_system.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <random>

namespace troupe::apiserver {

namespace {

constexpr std::size_t objects_per_txn = 400;
constexpr const char* autoupdate = "rbac.authorization.kubernetes.io/autoupdate";

const schema::resource* resource_of(const json::value& doc) {
  const auto api_version = jq::str(doc, {"apiVersion"});
  const auto slash = api_version.find('/');
  const auto group = slash == std::string_view::npos ? std::string_view{} : api_version.substr(0, slash);
  const auto version = slash == std::string_view::npos ? api_version : api_version.substr(slash + 1);
  return schema::registry::get().find_by_kind(group, version, jq::str(doc, {"kind"}));
}

/// Adds the elements of a default list that are missing; what people added stays. True when something changed.
bool complete_list(json::value& have, const json::value& wanted, const char* list) {
  bool changed = false;
  for (const auto& w : jq::arr(wanted, {list})) {
    auto& all = jq::at(have, {list});
    if (!all.is_array()) all = json::array{};
    bool found = false;
    for (const auto& h : all.get_array())
      found = found || h == w;
    if (found) continue;
    all.get_array().push_back(w);
    changed = true;
  }
  return changed;
}

bool reconcile_rbac(json::value& have, const json::value& wanted) {
  if (meta::annotation(have, autoupdate) != "true") return false;
  if (jq::find(have, {"aggregationRule"})) return false;
  const bool rules = complete_list(have, wanted, "rules");
  return complete_list(have, wanted, "subjects") || rules;
}

/// The api server's own address may be another one after a restart.
bool reconcile_endpoints(json::value& have, const json::value& wanted, const char* list) {
  const auto* w = jq::find(wanted, {list});
  const auto* h = jq::find(have, {list});
  if (!w || (h && *h == *w)) return false;
  jq::at(have, {list}) = *w;
  return true;
}

bool reconcile(const schema::resource& res, json::value& have, const json::value& wanted) {
  if (res.group == "rbac.authorization.k8s.io") return reconcile_rbac(have, wanted);
  if (res.plural == "endpoints") return reconcile_endpoints(have, wanted, "subsets");
  if (res.plural == "endpointslices") {
    const bool endpoints = reconcile_endpoints(have, wanted, "endpoints");
    return reconcile_endpoints(have, wanted, "ports") || endpoints;
  }
  if (res.plural == "configmaps") return reconcile_endpoints(have, wanted, "data");
  return false;
}

} // namespace

result<std::vector<store::txn>> plan_bootstrap(const services& s, const store::view& state, sys_micros now,
                                               random_source& random) {
  std::vector<store::txn> out(1);
  kinds::write_context ctx;
  ctx.now = now;
  ctx.random = &random;
  for (auto& doc : bootstrap_objects(s, now)) {
    const auto* res = resource_of(doc);
    if (!res) return errors::internal("no kind for a bootstrap object " + std::string(jq::str(doc, {"kind"})));
    if (auto w = schema::conform(doc, *res->body, schema::field_validation::strict); !w) return w.error();
    schema::apply_defaults(doc, *res->body);
    const auto was = state.get(res->store_key, meta::ns(doc), meta::name(doc));
    if (out.back().compares.size() >= objects_per_txn) out.emplace_back();
    if (was) {
      auto have = was->parse();
      if (!reconcile(*res, have, doc)) continue;
      schema::reorder(have, *res->body);
      if (auto r = add_put(out.back(), *res, have, was->mod); !r) return r.error();
      continue;
    }
    auto st = jq::find(doc, {"status"}) ? *jq::find(doc, {"status"}) : json::value(nullptr);
    if (auto r = kinds::prepare_create(*res, doc, ctx); !r) return r.error();
    if (res->plural == "apiservices" && st.is_object()) jq::at(doc, {"status"}) = std::move(st);
    if (auto r = add_put(out.back(), *res, doc, 0); !r) return r.error();
  }
  if (out.back().puts.empty()) out.pop_back();
  return out;
}

namespace {

using boot_retry = caf::atom_constant<caf::atom("bootretry")>;
using boot_actor = txn_sink_actor::extend<caf::reacts_to<boot_retry>>;

struct boot_state {
  boot_actor::pointer self = nullptr;
  services_ptr s;
  std::size_t open = 0;
  bool failed = false;
  static inline const char* name = "bootstrap";

  void start() {
    std::random_device device;
    random_source random((static_cast<std::uint64_t>(device()) << 32) ^ device());
    auto plan = plan_bootstrap(*s, *s->view(), wall_now(self->clock()), random);
    if (!plan) return again();
    open = plan->size();
    failed = false;
    if (open == 0) return done();
    std::uint64_t ticket = 0;
    for (auto& change : *plan) {
      auto p = std::make_shared<propose>();
      p->ticket = ++ticket;
      p->change = std::move(change);
      self->send(s->options.raft, std::move(p), caf::actor_cast<txn_sink_actor>(boot_actor(self)));
    }
  }

  void applied(const txns_done& batch) {
    for (const auto& [ticket, r] : batch.items) {
      failed = failed || !r.ok;
      if (open > 0) --open;
    }
    if (open > 0) return;
    if (failed)
      again();
    else
      done();
  }

  void again() { self->delayed_send(self, std::chrono::milliseconds(200), boot_retry::value); }

  void done() {
    s->ready = true;
    if (s->options.on_ready) s->options.on_ready();
    self->quit();
  }
};

boot_actor::behavior_type boot_behavior(boot_actor::stateful_pointer<boot_state> self, services_ptr s) {
  self->state.self = self;
  self->state.s = std::move(s);
  self->state.start();
  return {
      [self](const txns_done_ptr& batch) { self->state.applied(*batch); },
      [self](boot_retry) { self->state.start(); },
  };
}

} // namespace

caf::actor spawn_bootstrap(caf::actor_system& sys, services_ptr s) {
  return caf::actor_cast<caf::actor>(sys.spawn(boot_behavior, std::move(s)));
}

} // namespace troupe::apiserver
