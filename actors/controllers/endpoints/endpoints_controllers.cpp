#include "actors/controllers/endpoints/endpoints_controllers.hpp"

#include "actors/controllers/endpoints/endpoints_core.hpp"
#include "api/meta/object_meta.hpp"
#include "api/meta/selector.hpp"

#include <algorithm>

namespace troupe::ctl {

namespace {
constexpr std::string_view slices_table = "endpointslices.discovery.k8s.io";
constexpr std::string_view service_label = "kubernetes.io/service-name";
constexpr std::string_view managed_label = "endpointslice.kubernetes.io/managed-by";
constexpr std::string_view manager = "endpointslice-controller.k8s.io";

bool selected(const item& service, const item& pod) {
  const auto& sel = jq::obj(service.doc, {"spec", "selector"});
  if (sel.empty() || jq::str(service.doc, {"spec", "type"}) == "ExternalName") return false;
  return std::all_of(sel.begin(), sel.end(), [&](const auto& f) {
    auto have = pod.raw->meta().label({f.key().data(), f.key().size()});
    return have && f.value().is_string() && *have == std::string_view{f.value().get_string()};
  });
}

/// Does the change of a pod matter to endpoints?
bool same_endpoint(const item& a, const item& b) {
  const auto &p = a.pod, &q = b.pod;
  return p.ready == q.ready && a.deleting == b.deleting && p.ips == q.ips && p.node == q.node && p.phase == q.phase &&
         p.hostname == q.hostname && a.uid == b.uid && a.raw->meta().labels == b.raw->meta().labels;
}
} // namespace

void endpoints_controller::observe_service(const change& c, const cluster_cache& cache) {
  auto key = (c.after ? c.after : c.before)->key();
  queue.add(key);
  if (!c.after) {
    members_.erase(key);
    gone_.insert(key);
    return;
  }
  gone_.erase(key);
  if (c.before && jq::obj(c.before->doc, {"spec", "selector"}) == jq::obj(c.after->doc, {"spec", "selector"}) &&
      members_.contains(key))
    return;
  auto& m = members_[key];
  m.clear();
  for (const auto& [name, p] : cache.in("pods", c.after->ns()))
    if (selected(*c.after, *p)) m.insert(name);
}

void endpoints_controller::observe_pod(const change& c, const cluster_cache& cache) {
  if (c.before && c.after && same_endpoint(*c.before, *c.after)) return;
  const auto& i = c.after ? c.after : c.before;
  for (const auto& [name, s] : cache.in("services", i->ns())) {
    auto key = s->key();
    auto now_in = c.after && selected(*s, *c.after);
    auto was_in = false;
    if (auto it = members_.find(key); it != members_.end() && !now_in) was_in = it->second.erase(i->name()) > 0;
    if (now_in) members_[key].insert(i->name());
    if (now_in || was_in) queue.add(key);
  }
}

void endpoints_controller::observe(const change& c, const cluster_cache& cache, sys_micros) {
  const auto& i = c.after ? c.after : c.before;
  if (!i) return;
  if (c.table == "services") {
    observe_service(c, cache);
  } else if (c.table == "pods") {
    observe_pod(c, cache);
  } else if (what_ == writes::slices && c.table == slices_table) {
    if (auto name = meta::label(i->doc, service_label); !name.empty() && meta::label(i->doc, managed_label) == manager)
      queue.add(i->ns() + "/" + std::string{name});
  } else if (what_ == writes::endpoints && c.table == "endpoints") {
    if (cache.get("services", i->key())) queue.add(i->key());
  }
}

void endpoints_controller::all_synced(const cluster_cache& cache, sys_micros) {
  if (what_ != writes::endpoints) return;
  cache.each("endpoints", [&](const item_ptr& e) { // left over from before this process
    if (cache.get("services", e->key()) ||
        meta::annotations(e->doc).contains("control-plane.alpha.kubernetes.io/leader"))
      return;
    gone_.insert(e->key());
    queue.add(e->key());
  });
}

outcome endpoints_controller::reconcile(const std::string& key, const world& w) {
  auto service = w.cache.get("services", key);
  if (!service) {
    // Slices go with their owner; Endpoints have none and share the name.
    outcome out;
    auto left = what_ == writes::endpoints && gone_.contains(key) ? w.cache.get("endpoints", key) : nullptr;
    if (left)
      out.actions.push_back(act::remove(refs::endpoints, left->ns(), left->name(), left->uid));
    else
      gone_.erase(key);
    return out;
  }
  if (jq::obj(service->doc, {"spec", "selector"}).empty() ||
      jq::str(service->doc, {"spec", "type"}) == "ExternalName" || service->deleting)
    return {};
  endpoints_input in{*service, {}, {}, nullptr, {}};
  if (auto m = members_.find(key); m != members_.end())
    for (const auto& name : m->second)
      if (auto p = w.cache.get("pods", service->ns(), name)) in.pods.push_back(p);
  in.zone = [&](const std::string& node) {
    auto n = w.cache.get("nodes", {}, node);
    return n ? std::string{meta::label(n->doc, "topology.kubernetes.io/zone")} : std::string{};
  };
  if (what_ == writes::endpoints) {
    in.endpoints = w.cache.get("endpoints", key);
    return endpoints_look(in);
  }
  for (const auto& [name, s] : w.cache.in(slices_table, service->ns()))
    if (meta::label(s->doc, service_label) == service->name() && meta::label(s->doc, managed_label) == manager)
      in.slices.push_back(s);
  return endpoint_slices_look(in);
}

} // namespace troupe::ctl
