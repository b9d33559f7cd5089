#include "api/meta/object_meta.hpp"
#include "api/meta/selector.hpp"
#include "api/rbac/authorizer.hpp"
#include "api/schema/registry.hpp"

#include <algorithm>

namespace troupe::rbac {

namespace {

constexpr std::string_view group = "rbac.authorization.k8s.io";

json::value make_object(std::string_view kind, const json::value& entry, const json::value& data) {
  json::value o = json::object{};
  o.as_object()["kind"] = kind;
  o.as_object()["apiVersion"] = std::string{group} + "/v1";
  jq::at(o, {"metadata", "name"}) = jq::str(entry, {"name"});
  if (const auto ns = jq::str(entry, {"namespace"}); !ns.empty()) jq::at(o, {"metadata", "namespace"}) = ns;
  json::object labels = jq::obj(data, {"labels"});
  for (const auto& [k, v] : jq::obj(entry, {"labels"}))
    labels[k] = v;
  jq::at(o, {"metadata", "labels"}) = std::move(labels);
  jq::at(o, {"metadata", "annotations"}) = jq::obj(data, {"annotations"});
  return o;
}

json::value make_role(std::string_view kind, const json::value& entry, const json::value& data) {
  auto o = make_object(kind, entry, data);
  if (const auto label = jq::str(entry, {"aggregate"}); !label.empty()) {
    json::value selector = json::object{};
    jq::at(selector, {"matchLabels", label}) = "true";
    jq::at(o, {"aggregationRule", "clusterRoleSelectors"}) = json::array{std::move(selector)};
  }
  o.as_object()["rules"] = jq::arr(entry, {"rules"});
  return o;
}

json::value make_binding(std::string_view kind, std::string_view role_kind, const json::value& entry,
                         const json::value& data) {
  auto o = make_object(kind, entry, data);
  json::array subjects;
  for (const auto& s : jq::arr(entry, {"subjects"})) {
    json::object subject;
    const auto subject_kind = jq::str(s, {"kind"});
    subject["kind"] = subject_kind;
    if (subject_kind != "ServiceAccount") subject["apiGroup"] = group;
    subject["name"] = jq::str(s, {"name"});
    if (const auto ns = jq::str(s, {"namespace"}); !ns.empty()) subject["namespace"] = ns;
    subjects.push_back(std::move(subject));
  }
  if (!subjects.empty()) o.as_object()["subjects"] = std::move(subjects);
  json::object ref;
  ref["apiGroup"] = group;
  ref["kind"] = role_kind;
  ref["name"] = jq::str(entry, {"role"});
  o.as_object()["roleRef"] = std::move(ref);
  return o;
}

} // namespace

std::optional<json::array> aggregated_rules(const json::value& role, std::span<const json::value> roles) {
  const auto& selectors = jq::arr(role, {"aggregationRule", "clusterRoleSelectors"});
  if (!jq::find(role, {"aggregationRule"})) return std::nullopt;
  std::vector<const json::value*> sources;
  for (const auto& s : selectors) {
    const auto selector = label_selector::from_object(&s);
    if (!selector) continue;
    for (const auto& r : roles)
      if (meta::name(r) != meta::name(role) && selector->matches(meta::labels(r)) &&
          std::find(sources.begin(), sources.end(), &r) == sources.end())
        sources.push_back(&r);
  }
  std::sort(sources.begin(), sources.end(),
            [](const auto* a, const auto* b) { return meta::name(*a) < meta::name(*b); });
  json::array out;
  for (const auto* r : sources)
    for (const auto& rule : jq::arr(*r, {"rules"}))
      if (std::find(out.begin(), out.end(), rule) == out.end()) out.push_back(rule);
  return out;
}

std::vector<json::value> bootstrap_rbac() {
  const auto& data = schema::registry::get().rbac();
  std::vector<json::value> roles;
  for (const auto& e : jq::arr(data, {"clusterRoles"}))
    roles.push_back(make_role("ClusterRole", e, data));
  // admin takes from edit, which takes from view: as many rounds as the chain is long.
  constexpr int chain_length_max = 8;
  bool changed = true;
  for (int round = 0; changed && round < chain_length_max; ++round) {
    changed = false;
    for (auto& r : roles) {
      auto rules = aggregated_rules(r, roles);
      if (!rules || *rules == jq::arr(r, {"rules"})) continue;
      r.as_object()["rules"] = std::move(*rules);
      changed = true;
    }
  }
  auto out = std::move(roles);
  for (const auto& e : jq::arr(data, {"clusterRoleBindings"}))
    out.push_back(make_binding("ClusterRoleBinding", "ClusterRole", e, data));
  for (const auto& e : jq::arr(data, {"roles"}))
    out.push_back(make_role("Role", e, data));
  for (const auto& e : jq::arr(data, {"roleBindings"})) {
    const auto kind = jq::str(e, {"roleKind"}, "Role");
    out.push_back(make_binding("RoleBinding", kind, e, data));
  }
  return out;
}

} // namespace troupe::rbac
