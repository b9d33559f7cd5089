// Pod, Namespace, Node, Event, ReplicationController's neighbours of the core group that are not configuration.
#include "api/kinds/rules.hpp"

#include "api/meta/quantity.hpp"

#include <algorithm>
#include <set>

namespace troupe::kinds {

namespace {

/// A gated pod says so from its first moment: the scheduler never looks at it.
json::object gated_condition() {
  json::object c;
  c["type"] = "PodScheduled";
  c["status"] = "False";
  c["lastProbeTime"] = nullptr;
  c["lastTransitionTime"] = nullptr;
  c["reason"] = "SchedulingGated";
  c["message"] = "Scheduling is blocked due to non-empty scheduling gates";
  return c;
}

void pod_on_create(json::value& obj, const write_context&) {
  if (auto* spec = jq::find(obj, {"spec"})) mirror_service_account(*spec);
  json::object status;
  status["phase"] = "Pending";
  status["qosClass"] = pod_qos_class(obj);
  if (!jq::arr(obj, {"spec", "schedulingGates"}).empty()) {
    json::array conditions;
    conditions.push_back(gated_condition());
    status["conditions"] = std::move(conditions);
  }
  obj.as_object()["status"] = std::move(status);
}

void pod_on_update(json::value& obj, const json::value& old, const write_context&) {
  if (auto* spec = jq::find(obj, {"spec"})) mirror_service_account(*spec);
  // Ephemeral containers change through their subresource only.
  if (const auto* v = jq::find(old, {"spec", "ephemeralContainers"}))
    jq::at(obj, {"spec", "ephemeralContainers"}) = *v;
  else
    jq::erase(obj, {"spec", "ephemeralContainers"});
  // A negative grace period is how old clients said "now".
  if (jq::num(old, {"spec", "terminationGracePeriodSeconds"}) < 0)
    jq::at(obj, {"spec", "terminationGracePeriodSeconds"}) = 1;
}

void check_pod(field_errors& e, const json::value& obj) {
  check_pod_spec(e, at(obj, {"spec"}), "spec", pod_spec_use::pod);
}

void check_new_pod(field_errors& e, const json::value& obj) {
  if (!jq::arr(obj, {"spec", "ephemeralContainers"}).empty())
    e.push_back(field::forbidden("spec.ephemeralContainers", "cannot be set on create"));
}

void label_with_name(json::value& obj) {
  // A copy first: adding labels may move the name.
  const std::string name{meta::name(obj)};
  jq::at(obj, {"metadata", "labels", "kubernetes.io/metadata.name"}) = name;
}

void namespace_on_create(json::value& obj, const write_context&) {
  // A new namespace holds on to itself until its contents are gone.
  auto& list = jq::at(obj, {"spec", "finalizers"});
  if (!list.is_array()) list.emplace_array();
  auto& a = list.as_array();
  if (std::find(a.begin(), a.end(), json::value("kubernetes")) == a.end()) a.push_back("kubernetes");
  label_with_name(obj);
  json::object status;
  status["phase"] = "Active";
  obj.as_object()["status"] = std::move(status);
}

void namespace_on_update(json::value& obj, const json::value& old, const write_context&) {
  if (const auto* v = jq::find(old, {"spec", "finalizers"}))
    jq::at(obj, {"spec", "finalizers"}) = *v;
  else
    jq::erase(obj, {"spec", "finalizers"});
  label_with_name(obj);
}

void check_node(field_errors& e, const json::value& obj) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  const auto& taints = jq::arr(obj, {"spec", "taints"});
  for (std::size_t i = 0; i < taints.size(); ++i) {
    const auto& t = taints[i];
    // The path of node taints is metadata.taints in real servers.
    const auto here = index("metadata.taints", i);
    const auto key = jq::str(t, {"key"}), value = jq::str(t, {"value"});
    if (!names::is_qualified(key)) check_name(e, here + ".key", key, names::qualified(key));
    if (!names::is_label_value(value)) check_name(e, here + ".value", value, names::label_value(value));
    if (seen.insert({key, jq::str(t, {"effect"})}).second) continue;
    auto c = field::duplicate(here, t);
    c.message += ": taints must be unique by key and effect pair";
    e.push_back(std::move(c));
  }
  const auto& cidrs = jq::arr(obj, {"spec", "podCIDRs"});
  for (std::size_t i = 0; i < cidrs.size(); ++i) {
    const auto s = cidrs[i].is_string() ? jq::view(cidrs[i].get_string()) : std::string_view{};
    check_name(e, index("spec.podCIDRs", i), s, names::cidr(s));
  }
}

void check_node_update(field_errors& e, const json::value& obj, const json::value& old) {
  for (auto f : {"podCIDR", "podCIDRs"})
    if (const auto* was = jq::find(old, {"spec", f}); was && differ(was, jq::find(obj, {"spec", f})))
      e.push_back(
          field::forbidden(std::string{"spec."} + f, "node updates may not change podCIDR except from \"\" to valid"));
  if (const auto was = jq::str(old, {"spec", "providerID"});
      !was.empty() && was != jq::str(obj, {"spec", "providerID"}))
    e.push_back(
        field::forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid"));
}

void check_event(field_errors& e, const json::value& obj) {
  const auto* about = jq::find(obj, {"involvedObject"});
  if (!about) about = jq::find(obj, {"regarding"});
  if (!about) return;
  const auto ns = jq::str(*about, {"namespace"});
  const auto here = meta::ns(obj);
  // Events about cluster-scoped objects live in `default` (or kube-system).
  const bool fits = ns.empty() ? here == "default" || here == "kube-system" || here.empty() : ns == here;
  if (!fits) e.push_back(field::invalid("involvedObject.namespace", text(ns), "does not match event.namespace"));
}

void check_quantities(field_errors& e, const json::object& list, const std::string& path) {
  for (const auto& [k, v] : list) {
    const auto q = quantity::parse(v);
    if (q && q->sign() < 0)
      e.push_back(field::invalid(path + "[" + std::string{jq::view(k)} + "]", v, "must be greater than or equal to 0"));
  }
}

void check_resource_quota(field_errors& e, const json::value& obj) {
  check_quantities(e, jq::obj(obj, {"spec", "hard"}), "spec.hard");
}

void check_limit_range(field_errors& e, const json::value& obj) {
  const auto& limits = jq::arr(obj, {"spec", "limits"});
  std::set<std::string_view> types;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const auto here = index("spec.limits", i);
    const auto& l = limits[i];
    const auto type = jq::str(l, {"type"});
    if (!types.insert(type).second) e.push_back(field::duplicate(here + ".type", text(type)));
    for (const auto& [k, v] : jq::obj(l, {"min"})) {
      const auto* most = jq::find(l, {"max", jq::view(k)});
      const auto a = quantity::parse(v);
      const auto b = most ? quantity::parse(*most) : a;
      if (a && b && *a > *b)
        e.push_back(field::invalid(here + ".min[" + std::string{jq::view(k)} + "]", v,
                                   "min value " + a->to_string() + " is greater than max value " + b->to_string()));
    }
  }
}

constexpr kind_rule rules[] = {
    {"", "Pod", pod_on_create, pod_on_update, check_pod, check_pod_update, false, check_new_pod},
    {"", "Namespace", namespace_on_create, namespace_on_update},
    {"", "Node", nullptr, nullptr, check_node, check_node_update, true},
    {"", "Event", nullptr, nullptr, check_event},
    {"events.k8s.io", "Event", nullptr, nullptr, check_event},
    {"", "ResourceQuota", nullptr, nullptr, check_resource_quota},
    {"", "LimitRange", nullptr, nullptr, check_limit_range},
};

} // namespace

std::span<const kind_rule> core_kinds() { return rules; }

} // namespace troupe::kinds
