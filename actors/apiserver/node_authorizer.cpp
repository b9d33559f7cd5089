#include "actors/apiserver/node_authorizer.hpp"

#include "api/meta/selector.hpp"

#include <algorithm>
#include <array>

namespace troupe::apiserver {

namespace {

constexpr std::string_view user_prefix = "system:node:";

bool is_write(std::string_view verb) {
  return verb == "create" || verb == "update" || verb == "patch" || verb == "delete";
}

bool refers_in_env(const json::value& container, std::string_view kind, std::string_view name) {
  const bool secret = kind == "secrets";
  for (const auto& e : jq::arr(container, {"env"}))
    if (jq::str(e, {"valueFrom", secret ? "secretKeyRef" : "configMapKeyRef", "name"}) == name) return true;
  for (const auto& e : jq::arr(container, {"envFrom"}))
    if (jq::str(e, {secret ? "secretRef" : "configMapRef", "name"}) == name) return true;
  return false;
}

bool refers_in_volume(const json::value& v, std::string_view kind, std::string_view name) {
  if (kind == "persistentvolumeclaims") return jq::str(v, {"persistentVolumeClaim", "claimName"}) == name;
  const bool secret = kind == "secrets";
  if (secret ? jq::str(v, {"secret", "secretName"}) == name : jq::str(v, {"configMap", "name"}) == name) return true;
  for (const auto& src : jq::arr(v, {"projected", "sources"}))
    if (jq::str(src, {secret ? "secret" : "configMap", "name"}) == name) return true;
  return false;
}

bool pod_refers(const json::value& pod, std::string_view kind, std::string_view name) {
  if (kind == "serviceaccounts") return jq::str(pod, {"spec", "serviceAccountName"}) == name;
  for (const auto& v : jq::arr(pod, {"spec", "volumes"}))
    if (refers_in_volume(v, kind, name)) return true;
  if (kind == "secrets")
    for (const auto& r : jq::arr(pod, {"spec", "imagePullSecrets"}))
      if (jq::str(r, {"name"}) == name) return true;
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"})
    for (const auto& c : jq::arr(pod, {"spec", list}))
      if (refers_in_env(c, kind, name)) return true;
  return false;
}

bool some_pod_refers(const store::view& state, std::string_view node, std::string_view kind, std::string_view ns,
                     std::string_view name) {
  bool found = false;
  state.scan("pods", ns, [&](const store::object_ptr& o) {
    if (o->meta().node_name == node) found = pod_refers(o->parse(), kind, name);
    return !found;
  });
  return found;
}

bool list_is_of_node(const request* whole, std::string_view node) {
  if (!whole) return true;
  const auto parsed = field_selector::parse(whole->param("fieldSelector"));
  if (!parsed) return false;
  const auto pinned = parsed->pinned("spec.nodeName");
  return pinned && *pinned == node;
}

bool pods_allowed(const rbac::attributes& a, const store::view& state, std::string_view node, const request* whole) {
  if (a.verb == "list" || a.verb == "watch") return list_is_of_node(whole, node);
  if (a.verb == "create" && a.subresource.empty()) return true; // mirror pods; admission checks their node
  const auto pod = state.get("pods", a.ns, a.name);
  return pod && pod->meta().node_name == node;
}

bool node_allowed(const rbac::attributes& a, std::string_view node) {
  if (a.verb == "create") return true; // a name is not known yet; admission of nodes checks it
  if (is_write(a.verb)) return a.name == node;
  return true;
}

} // namespace

std::string_view node_of(const identity& who) noexcept {
  const std::string_view user{who.user};
  return user.substr(0, user_prefix.size()) == user_prefix ? user.substr(user_prefix.size()) : std::string_view{};
}

rbac::decision node_authorizer(const rbac::rbac_rules& rules, const rbac::attributes& a, const identity& who,
                               const store::view& state, const request* whole) {
  const auto node = node_of(who);
  if (node.empty() || !a.path.empty()) return {false, ""};
  const auto held = rules.role_rules("", "ClusterRole", "system:node");
  rbac::policy_rule wanted;
  wanted.verbs = {std::string(a.verb)};
  wanted.api_groups = {std::string(a.group)};
  wanted.resources = {a.subresource.empty() ? std::string(a.resource)
                                            : std::string(a.resource) + "/" + std::string(a.subresource)};
  if (!held || !rbac::covers(*held, wanted)) return {false, ""};
  bool ok = true;
  if (a.resource == "nodes")
    ok = node_allowed(a, node);
  else if (a.resource == "pods")
    ok = pods_allowed(a, state, node, whole);
  else if (a.resource == "leases" && is_write(a.verb))
    ok = a.ns == "kube-node-lease" && (a.verb == "create" || a.name == node);
  else if (a.resource == "csinodes")
    ok = a.name == node || a.verb == "create";
  else if (a.resource == "serviceaccounts" && a.subresource == "token")
    ok = some_pod_refers(state, node, a.resource, a.ns, a.name);
  else if (a.resource == "secrets" || a.resource == "configmaps" || a.resource == "persistentvolumeclaims")
    ok = !a.name.empty() && some_pod_refers(state, node, a.resource, a.ns, a.name);
  if (ok) return {true, "node"};
  return {false, "no relationship found between node '" + std::string(node) + "' and this object"};
}

} // namespace troupe::apiserver
