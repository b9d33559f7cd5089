// RBAC escalation: nobody grants what they do not hold, unless allowed to escalate or bind.
#include "actors/apiserver/admission/admission.hpp"
#include "actors/apiserver/authorize.hpp"

namespace troupe::apiserver::plugins {

namespace {

bool may(const admission_context& c, std::string_view word, std::string_view resource, std::string_view name) {
  rbac::attributes a;
  a.verb = word;
  a.group = "rbac.authorization.k8s.io";
  a.resource = resource;
  a.ns = c.e.req.ns;
  a.name = name;
  return decide(c.e.s, a, c.e.req.who, c.e.state).allowed;
}

std::vector<rbac::policy_rule> rules_in(const json::value& role) {
  std::vector<rbac::policy_rule> out;
  for (const auto& r : jq::arr(role, {"rules"}))
    out.push_back(rbac::policy_rule::from_json(r));
  return out;
}

} // namespace

result<void> rbac_escalation(admission_context& c, json::value& obj) {
  const auto& who = c.e.req.who;
  if (who.in_group("system:masters")) return {};
  const auto rules = c.e.s.rbac->rules();
  const bool role = c.res.plural == "roles" || c.res.plural == "clusterroles";
  const auto name = jq::str(obj, {"metadata", "name"});
  std::vector<rbac::policy_rule> wanted;
  if (role) {
    if (c.old && jq::arr(*c.old, {"rules"}) == jq::arr(obj, {"rules"})) return {};
    if (may(c, "escalate", c.res.plural, name)) return {};
    wanted = rules_in(obj);
  } else {
    const auto kind = jq::str(obj, {"roleRef", "kind"}), ref = jq::str(obj, {"roleRef", "name"});
    if (may(c, "bind", kind == "ClusterRole" ? "clusterroles" : "roles", ref)) return {};
    auto found = rules->role_rules(c.e.req.ns, kind, ref);
    if (!found)
      return errors::not_found({"rbac.authorization.k8s.io", kind == "ClusterRole" ? "clusterroles" : "roles"}, ref);
    wanted = std::move(*found);
  }
  const auto missing = rules->uncovered(who, c.e.req.ns, wanted);
  if (missing.empty()) return {};
  return errors::forbidden(c.about(), name, rbac::escalation_denial(who, missing));
}

} // namespace troupe::apiserver::plugins
