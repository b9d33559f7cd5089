// TaintNodesByCondition and NodeRestriction: new nodes start not ready; a node's agent touches only its own.
#include "actors/apiserver/admission/admission.hpp"
#include "actors/apiserver/node_authorizer.hpp"

namespace troupe::apiserver::plugins {

result<void> taint_nodes(admission_context& c, json::value& obj) {
  if (c.op != admission_op::create) return {};
  constexpr std::string_view key = "node.kubernetes.io/not-ready";
  auto& taints = jq::at(obj, {"spec", "taints"});
  if (!taints.is_array()) taints = json::array{};
  for (const auto& t : taints.get_array())
    if (jq::str(t, {"key"}) == key && jq::str(t, {"effect"}) == "NoSchedule") return {};
  json::object t;
  t["key"] = key;
  t["effect"] = "NoSchedule";
  taints.get_array().push_back(std::move(t));
  return {};
}

result<void> node_restriction(admission_context& c, json::value& obj) {
  const auto& who = c.e.req.who;
  if (!who.in_group("system:nodes") || who.in_group("system:masters")) return {};
  const auto node = node_of(who);
  const auto name = c.op == admission_op::create ? jq::str(obj, {"metadata", "name"}) : std::string_view(c.e.req.name);
  const auto refused = [&](const std::string& why) { return errors::forbidden(c.about(), name, why); };
  const std::string own{node};
  if (c.is("", "nodes") && name != node)
    return refused("node \"" + own + "\" is not allowed to modify node \"" + std::string(name) + "\"");
  if (c.is("", "pods")) {
    const auto& pod = c.old ? *c.old : obj;
    if (jq::str(pod, {"spec", "nodeName"}) != node)
      return refused("node \"" + own + "\" can only act on pods with spec.nodeName set to itself");
    if (c.op == admission_op::create &&
        jq::str(obj, {"metadata", "annotations", "kubernetes.io/config.mirror"}).empty())
      return refused("pod does not have \"kubernetes.io/config.mirror\" annotation, node \"" + own +
                     "\" can only create mirror pods");
  }
  if (c.is("coordination.k8s.io", "leases") && (c.e.req.ns != "kube-node-lease" || name != node))
    return refused("can only access node lease with the same name as the requesting node");
  return {};
}

} // namespace troupe::apiserver::plugins
