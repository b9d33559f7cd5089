// CustomResourceDefinition, APIService, admission webhook configurations.
#include "api/kinds/rules.hpp"

#include <algorithm>
#include <set>

namespace troupe::kinds {

namespace {

void record_storage_version(json::value& obj) {
  for (const auto& v : jq::arr(obj, {"spec", "versions"})) {
    if (!jq::flag(v, {"storage"})) continue;
    const json::value name = text(jq::str(v, {"name"}));
    auto& list = jq::at(obj, {"status", "storedVersions"});
    if (!list.is_array()) list.emplace_array();
    auto& a = list.as_array();
    if (std::find(a.begin(), a.end(), name) == a.end()) a.push_back(name);
    return;
  }
}

void definition_on_create(json::value& obj, const write_context&) { record_storage_version(obj); }
void definition_on_update(json::value& obj, const json::value&, const write_context&) { record_storage_version(obj); }

/// A structural schema names the type of every node (except where int-or-string or unknown fields are let through).
void check_structural(field_errors& e, const json::value& s, const std::string& path, int depth) {
  constexpr int depth_max = 100;
  if (depth > depth_max || !s.is_object()) return;
  const auto type = jq::str(s, {"type"});
  const bool free_form =
      jq::flag(s, {"x-kubernetes-int-or-string"}) || jq::flag(s, {"x-kubernetes-preserve-unknown-fields"});
  static const std::vector<std::string> types{"array", "boolean", "integer", "number", "object", "string"};
  if (type.empty()) {
    if (!free_form)
      e.push_back(field::required(path + ".type", depth == 0 ? "must not be empty at the root"
                                                             : "must not be empty for specified object fields"));
  } else if (std::find(types.begin(), types.end(), type) == types.end()) {
    e.push_back(field::not_supported(path + ".type", text(type), types));
  }
  if (depth == 0 && !type.empty() && type != "object")
    e.push_back(field::invalid(path + ".type", text(type), "must be object at the root"));
  for (const auto& [k, v] : jq::obj(s, {"properties"}))
    check_structural(e, v, path + ".properties[" + std::string{jq::view(k)} + "]", depth + 1);
  if (const auto* items = jq::find(s, {"items"}); items && items->is_object())
    check_structural(e, *items, path + ".items", depth + 1);
  if (type == "array" && !jq::find(s, {"items"})) e.push_back(field::required(path + ".items", "must be specified"));
  if (const auto* more = jq::find(s, {"additionalProperties"}); more && more->is_object())
    check_structural(e, *more, path + ".additionalProperties", depth + 1);
}

void check_versions(field_errors& e, const json::value& obj) {
  const auto& versions = jq::arr(obj, {"spec", "versions"});
  std::size_t storage = 0;
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const auto here = index("spec.versions", i);
    const auto& v = versions[i];
    const auto name = jq::str(v, {"name"});
    storage += jq::flag(v, {"storage"});
    if (!name.empty()) {
      check_name(e, here + ".name", name, names::dns1035_label(name));
      if (!seen.insert(name).second)
        e.push_back(field::invalid("spec.versions", versions, "must contain unique version names"));
    }
    const auto* schema = jq::find(v, {"schema", "openAPIV3Schema"});
    if (!schema)
      e.push_back(field::required(here + ".schema.openAPIV3Schema", "schemas are required"));
    else
      check_structural(e, *schema, here + ".schema.openAPIV3Schema", 0);
  }
  if (!versions.empty() && storage != 1)
    e.push_back(field::invalid("spec.versions", versions, "must have exactly one version marked as storage version"));
}

void check_definition(field_errors& e, const json::value& obj) {
  const auto group = jq::str(obj, {"spec", "group"}), plural = jq::str(obj, {"spec", "names", "plural"});
  const auto wanted = std::string{plural} + "." + std::string{group};
  if (meta::name(obj) != wanted)
    e.push_back(field::invalid("metadata.name", text(meta::name(obj)), "must be spec.names.plural+\".\"+spec.group"));
  if (!group.empty()) {
    check_name(e, "spec.group", group, names::dns1123_subdomain(group));
    if (group.find('.') == group.npos)
      e.push_back(field::invalid("spec.group", text(group), "should be a domain with at least one dot"));
  }
  if (!plural.empty()) check_name(e, "spec.names.plural", plural, names::dns1035_label(plural));
  if (const auto s = jq::str(obj, {"spec", "names", "singular"}); !s.empty())
    check_name(e, "spec.names.singular", s, names::dns1035_label(s));
  if (const auto k = jq::str(obj, {"spec", "names", "kind"}); !k.empty())
    check_name(e, "spec.names.kind", k, names::dns1035_label(names::lower(k)));
  constexpr std::string_view approved = "api-approved.kubernetes.io";
  if ((group.ends_with(".k8s.io") || group.ends_with(".kubernetes.io")) && meta::annotation(obj, approved).empty())
    e.push_back(field::required("metadata.annotations[" + std::string{approved} + "]",
                                "protected groups must have approval annotation \"api-approved.kubernetes.io\", see "
                                "https://github.com/kubernetes/enhancements/pull/1111"));
  check_versions(e, obj);
}

void check_definition_update(field_errors& e, const json::value& obj, const json::value& old) {
  for (const auto& c : jq::arr(old, {"status", "conditions"})) {
    if (jq::str(c, {"type"}) != "Established" || jq::str(c, {"status"}) != "True") continue;
    check_immutable(e, obj, old, {"spec", "scope"});
    check_immutable(e, obj, old, {"spec", "names", "kind"});
    check_immutable(e, obj, old, {"spec", "names", "plural"});
  }
}

void check_api_service(field_errors& e, const json::value& obj) {
  const auto wanted =
      std::string{jq::str(obj, {"spec", "version"})} + "." + std::string{jq::str(obj, {"spec", "group"})};
  if (meta::name(obj) != wanted)
    e.push_back(field::invalid("metadata.name", text(meta::name(obj)),
                               "must be `spec.version+\".\"+spec.group`: \"" + wanted + "\""));
  const bool local = !jq::find(obj, {"spec", "service"});
  if (!local && jq::str(obj, {"spec", "service", "name"}).empty()) e.push_back(field::required("spec.service.name"));
  if (!local && jq::str(obj, {"spec", "service", "namespace"}).empty())
    e.push_back(field::required("spec.service.namespace"));
}

void check_webhooks(field_errors& e, const json::value& obj) {
  std::set<std::string_view> seen;
  const auto& hooks = jq::arr(obj, {"webhooks"});
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    const auto here = index("webhooks", i);
    const auto name = jq::str(hooks[i], {"name"});
    if (std::count(name.begin(), name.end(), '.') < 2 && !name.empty())
      e.push_back(field::invalid(here + ".name", text(name),
                                 "should be a domain with at least three segments separated by dots"));
    else if (!name.empty())
      check_name(e, here + ".name", name, names::dns1123_subdomain(name));
    if (!seen.insert(name).second) e.push_back(field::duplicate(here + ".name", text(name)));
    constexpr std::int64_t timeout_max = 30;
    if (const auto t = jq::maybe_num(hooks[i], {"timeoutSeconds"}); t && (*t < 1 || *t > timeout_max))
      e.push_back(field::invalid(here + ".timeoutSeconds", *t, "the timeout value must be between 1 and 30 seconds"));
    const bool url = jq::find(hooks[i], {"clientConfig", "url"}) != nullptr;
    const bool service = jq::find(hooks[i], {"clientConfig", "service"}) != nullptr;
    if (url == service)
      e.push_back(field::required(here + ".clientConfig", "exactly one of url or service is required"));
    check_selector(e, jq::find(hooks[i], {"namespaceSelector"}), here + ".namespaceSelector");
    check_selector(e, jq::find(hooks[i], {"objectSelector"}), here + ".objectSelector");
  }
}

constexpr kind_rule rules[] = {
    {"apiextensions.k8s.io", "CustomResourceDefinition", definition_on_create, definition_on_update, check_definition,
     check_definition_update},
    {"apiregistration.k8s.io", "APIService", nullptr, nullptr, check_api_service},
    {"admissionregistration.k8s.io", "ValidatingWebhookConfiguration", nullptr, nullptr, check_webhooks},
    {"admissionregistration.k8s.io", "MutatingWebhookConfiguration", nullptr, nullptr, check_webhooks},
};

} // namespace

std::span<const kind_rule> extension_kinds() { return rules; }

} // namespace troupe::kinds
