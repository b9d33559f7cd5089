// RBAC kinds, CertificateSigningRequest.
#include "api/kinds/rules.hpp"

namespace troupe::kinds {

namespace {

void check_rules(field_errors& e, const json::value& obj, bool namespaced) {
  const auto& rules = jq::arr(obj, {"rules"});
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto here = index("rules", i);
    const auto& r = rules[i];
    if (jq::arr(r, {"verbs"}).empty())
      e.push_back(field::required(here + ".verbs", "verbs must contain at least one value"));
    const auto& urls = jq::arr(r, {"nonResourceURLs"});
    const bool names_resources = !jq::arr(r, {"apiGroups"}).empty() || !jq::arr(r, {"resources"}).empty() ||
                                 !jq::arr(r, {"resourceNames"}).empty();
    if (!urls.empty()) {
      if (namespaced)
        e.push_back(
            field::invalid(here + ".nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs"));
      if (names_resources)
        e.push_back(field::invalid(here + ".nonResourceURLs", urls,
                                   "rules cannot apply to both regular resources and non-resource URLs"));
      continue;
    }
    if (jq::arr(r, {"apiGroups"}).empty())
      e.push_back(field::required(here + ".apiGroups", "resource rules must supply at least one api group"));
    if (jq::arr(r, {"resources"}).empty())
      e.push_back(field::required(here + ".resources", "resource rules must supply at least one resource"));
  }
}

void check_role(field_errors& e, const json::value& obj) { check_rules(e, obj, true); }

void check_cluster_role(field_errors& e, const json::value& obj) {
  check_rules(e, obj, false);
  const auto* rule = jq::find(obj, {"aggregationRule"});
  if (!rule || rule->is_null()) return;
  const auto& selectors = jq::arr(*rule, {"clusterRoleSelectors"});
  if (selectors.empty())
    e.push_back(field::required("aggregationRule.clusterRoleSelectors",
                                "at least one clusterRoleSelector required if aggregationRule is non-nil"));
  for (std::size_t i = 0; i < selectors.size(); ++i)
    check_selector(e, &selectors[i], index("aggregationRule.clusterRoleSelectors", i));
}

void check_subjects(field_errors& e, const json::value& obj, bool namespaced) {
  constexpr std::string_view group = "rbac.authorization.k8s.io";
  const auto& list = jq::arr(obj, {"subjects"});
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto here = index("subjects", i);
    const auto& s = list[i];
    const auto kind = jq::str(s, {"kind"}), name = jq::str(s, {"name"}), api_group = jq::str(s, {"apiGroup"});
    if (kind == "ServiceAccount") {
      if (!name.empty()) check_name(e, here + ".name", name, names::dns1123_subdomain(name));
      if (!api_group.empty()) e.push_back(field::not_supported(here + ".apiGroup", text(api_group), {""}));
      if (!namespaced && jq::str(s, {"namespace"}).empty()) e.push_back(field::required(here + ".namespace"));
    } else if (kind == "User" || kind == "Group") {
      if (api_group != group)
        e.push_back(field::not_supported(here + ".apiGroup", text(api_group), {std::string{group}}));
    } else if (!kind.empty()) {
      e.push_back(field::not_supported(here + ".kind", text(kind), {"ServiceAccount", "User", "Group"}));
    }
  }
}

void check_role_ref(field_errors& e, const json::value& obj, std::vector<std::string> kinds) {
  constexpr std::string_view group = "rbac.authorization.k8s.io";
  const auto kind = jq::str(obj, {"roleRef", "kind"}), api_group = jq::str(obj, {"roleRef", "apiGroup"});
  if (api_group != group) e.push_back(field::not_supported("roleRef.apiGroup", text(api_group), {std::string{group}}));
  bool known = false;
  for (const auto& k : kinds)
    known |= k == kind;
  if (!known) e.push_back(field::not_supported("roleRef.kind", text(kind), std::move(kinds)));
  if (const auto name = jq::str(obj, {"roleRef", "name"}); !name.empty())
    check_name(e, "roleRef.name", name, names::path_segment(name));
}

void check_role_binding(field_errors& e, const json::value& obj) {
  check_role_ref(e, obj, {"Role", "ClusterRole"});
  check_subjects(e, obj, true);
}

void check_cluster_role_binding(field_errors& e, const json::value& obj) {
  check_role_ref(e, obj, {"ClusterRole"});
  check_subjects(e, obj, false);
}

void check_binding_update(field_errors& e, const json::value& obj, const json::value& old) {
  check_immutable(e, obj, old, {"roleRef"}, "cannot change roleRef");
}

/// Who asks is recorded, whatever the request says.
void signing_request_on_create(json::value& obj, const write_context& ctx) {
  auto& spec = jq::at(obj, {"spec"});
  for (auto f : {"username", "uid", "groups", "extra"})
    jq::erase(spec, {f});
  const std::string_view user = ctx.who ? std::string_view{ctx.who->user} : ctx.user;
  if (!user.empty()) jq::at(spec, {"username"}) = text(user);
  if (!ctx.who) return;
  if (!ctx.who->uid.empty()) jq::at(spec, {"uid"}) = text(ctx.who->uid);
  json::array groups;
  for (const auto& g : ctx.who->groups)
    groups.push_back(text(g));
  if (!groups.empty()) jq::at(spec, {"groups"}) = std::move(groups);
  for (const auto& [key, values] : ctx.who->extra) {
    json::array list;
    for (const auto& v : values)
      list.push_back(text(v));
    jq::at(spec, {"extra", key}) = std::move(list);
  }
}

void signing_request_on_update(json::value& obj, const json::value& old, const write_context&) {
  obj.as_object()["spec"] = at(old, {"spec"});
}

void check_signing_request(field_errors& e, const json::value& obj) {
  const auto signer = jq::str(obj, {"spec", "signerName"});
  const auto slash = signer.find('/');
  if (!signer.empty() && (slash == signer.npos || !names::is_dns1123_subdomain(signer.substr(0, slash)) ||
                          signer.find('.') > slash || slash + 1 == signer.size()))
    e.push_back(field::invalid("spec.signerName", text(signer),
                               "must be a fully qualified domain and path of the form 'example.com/signer-name'"));
  constexpr std::int64_t seconds_min = 600;
  if (const auto n = jq::maybe_num(obj, {"spec", "expirationSeconds"}); n && *n < seconds_min)
    e.push_back(
        field::invalid("spec.expirationSeconds", *n, "may not specify a duration less than 600 seconds (10 minutes)"));
}

constexpr kind_rule rules[] = {
    {"rbac.authorization.k8s.io", "Role", nullptr, nullptr, check_role},
    {"rbac.authorization.k8s.io", "ClusterRole", nullptr, nullptr, check_cluster_role},
    {"rbac.authorization.k8s.io", "RoleBinding", nullptr, nullptr, check_role_binding, check_binding_update},
    {"rbac.authorization.k8s.io", "ClusterRoleBinding", nullptr, nullptr, check_cluster_role_binding,
     check_binding_update},
    {"certificates.k8s.io", "CertificateSigningRequest", signing_request_on_create, signing_request_on_update,
     check_signing_request},
};

} // namespace

std::span<const kind_rule> access_kinds() { return rules; }

} // namespace troupe::kinds
