#include "api/rbac/policy_rule.hpp"

#include <algorithm>
#include <array>

namespace troupe::rbac {

namespace {

constexpr std::uint32_t other_verb = 1u << 31;
constexpr std::uint32_t every_verb = ~0u;

bool has(const std::vector<std::string>& list, std::string_view s) noexcept {
  return std::any_of(list.begin(), list.end(), [&](const std::string& x) { return x == s; });
}
bool has_or_star(const std::vector<std::string>& list, std::string_view s) noexcept {
  return has(list, s) || has(list, "*");
}

bool url_matches(std::string_view pattern, std::string_view path) noexcept {
  if (pattern == "*" || pattern == path) return true;
  return pattern.ends_with('*') && path.starts_with(pattern.substr(0, pattern.size() - 1));
}

/// `*/scale` covers the subresource of every resource.
bool star_slash(std::string_view pattern, std::string_view subresource) noexcept {
  return !subresource.empty() && pattern.size() == subresource.size() + 2 && pattern.starts_with("*/") &&
         pattern.substr(2) == subresource;
}

std::vector<std::string> list_of(const json::value& v, std::string_view key) {
  std::vector<std::string> out;
  for (const auto& x : jq::arr(v, {key}))
    if (const auto* s = x.if_string()) out.emplace_back(jq::view(*s));
  return out;
}

/// A rule with one element in each of its lists: what covering is decided on.
struct atom {
  std::string_view verb, group, resource, name, url;
  bool has_name = false, is_url = false;
};

bool holds(const policy_rule& r, const atom& a) noexcept {
  if (!has_or_star(r.verbs, a.verb)) return false;
  if (a.is_url)
    return std::any_of(r.non_resource_urls.begin(), r.non_resource_urls.end(),
                       [&](const std::string& p) { return url_matches(p, a.url); });
  if (!has_or_star(r.api_groups, a.group)) return false;
  const auto slash = a.resource.find('/');
  const auto sub = slash == a.resource.npos ? std::string_view{} : a.resource.substr(slash + 1);
  const bool resource =
      has_or_star(r.resources, a.resource) ||
      std::any_of(r.resources.begin(), r.resources.end(), [&](const std::string& p) { return star_slash(p, sub); });
  if (!resource) return false;
  return r.resource_names.empty() || (a.has_name && has(r.resource_names, a.name));
}

} // namespace

std::uint32_t verb_bit(std::string_view v) noexcept {
  static constexpr std::array<std::string_view, 20> known{
      "get",  "list",    "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate", "bind",
      "post", "approve", "sign",  "attest", "use",    "proxy", "put",    "escalate",         "head",        "options"};
  for (std::size_t i = 0; i < known.size(); ++i)
    if (known[i] == v) return 1u << i;
  return other_verb;
}

compiled_rule::compiled_rule(policy_rule r) : rule(std::move(r)) {
  for (const auto& v : rule.verbs)
    verbs |= v == "*" ? every_verb : verb_bit(v);
  all_groups = has(rule.api_groups, "*");
  all_resources = has(rule.resources, "*");
}

bool compiled_rule::allows(const attributes& a, std::uint32_t verb, std::string_view combined) const noexcept {
  if ((verbs & verb) == 0) return false;
  // The bit of all verbs that are not known says only that there may be one.
  if (verb == other_verb && !has_or_star(rule.verbs, a.verb)) return false;
  if (!a.path.empty())
    return std::any_of(rule.non_resource_urls.begin(), rule.non_resource_urls.end(),
                       [&](const std::string& p) { return url_matches(p, a.path); });
  if (!all_groups && !has(rule.api_groups, a.group)) return false;
  if (!all_resources && !std::any_of(rule.resources.begin(), rule.resources.end(), [&](const std::string& p) {
        return p == combined || star_slash(p, a.subresource);
      }))
    return false;
  return rule.resource_names.empty() || (!a.name.empty() && has(rule.resource_names, a.name));
}

policy_rule policy_rule::from_json(const json::value& v) {
  return {list_of(v, "verbs"), list_of(v, "apiGroups"), list_of(v, "resources"), list_of(v, "resourceNames"),
          list_of(v, "nonResourceURLs")};
}

json::object policy_rule::to_json() const {
  json::object out;
  const auto put = [&](std::string_view key, const std::vector<std::string>& list) {
    if (list.empty()) return;
    auto& a = out[key].emplace_array();
    for (const auto& s : list)
      a.push_back(json::string(s));
  };
  out["verbs"].emplace_array();
  put("verbs", verbs);
  put("apiGroups", api_groups);
  put("resources", resources);
  put("resourceNames", resource_names);
  put("nonResourceURLs", non_resource_urls);
  return out;
}

bool covers(std::span<const policy_rule> held, const policy_rule& wanted) {
  const auto held_one = [&](const atom& a) {
    return std::any_of(held.begin(), held.end(), [&](const policy_rule& r) { return holds(r, a); });
  };
  for (const auto& verb : wanted.verbs) {
    for (const auto& url : wanted.non_resource_urls)
      if (!held_one({verb, {}, {}, {}, url, false, true})) return false;
    for (const auto& group : wanted.api_groups)
      for (const auto& resource : wanted.resources) {
        if (wanted.resource_names.empty() && !held_one({verb, group, resource, {}, {}, false, false})) return false;
        for (const auto& name : wanted.resource_names)
          if (!held_one({verb, group, resource, name, {}, true, false})) return false;
      }
  }
  return true;
}

} // namespace troupe::rbac
