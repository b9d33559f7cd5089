// authorizer: what RBAC allows, decided on an immutable index of roles and bindings.
// Owner:  rbac_table by one actor (it follows the four kinds); rbac_rules shared by every reader, any thread.
// Units:  a decision costs at most microseconds; no allocation when allowed reasons are not asked for.
// Errors: none; what is not allowed is denied with the reason clients are shown.
// Source: k8s API section 22.
#pragma once

#include "api/identity.hpp"
#include "api/json.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::rbac {

struct attributes {
  std::string_view verb;
  /// Non-resource request when `path` is not empty; then only verb (lower-case method) and path count.
  std::string_view path;
  std::string_view group, resource, subresource, name, ns;
};

struct decision {
  bool allowed = false;
  std::string reason;
};

struct policy_rule {
  std::vector<std::string> verbs, api_groups, resources, resource_names, non_resource_urls;
  static policy_rule from_json(const json::value& v);
  json::object to_json() const;
  friend bool operator==(const policy_rule&, const policy_rule&) = default;
};

class rbac_rules {
public:
  rbac_rules();
  ~rbac_rules();
  /// Allowed or not; no reason text is made: the hot path.
  bool allows(const attributes& a, const identity& who) const noexcept;
  /// The same with the reason: `RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to User "u"`.
  decision authorize(const attributes& a, const identity& who) const;
  /// Every rule that holds for `who` in `ns` (cluster-wide ones included).
  std::vector<policy_rule> rules_for(const identity& who, std::string_view ns) const;
  /// Those of `wanted` that `who` does not hold in `ns`; empty: no escalation.
  std::vector<policy_rule> uncovered(const identity& who, std::string_view ns,
                                     std::span<const policy_rule> wanted) const;
  /// The rules of a role named by a roleRef in `ns`; nullopt when it does not exist.
  std::optional<std::vector<policy_rule>> role_rules(std::string_view ns, std::string_view kind,
                                                     std::string_view name) const;

  struct impl;

private:
  friend class rbac_table;
  std::unique_ptr<impl> impl_;
};

/// Follows roles, clusterroles, rolebindings and clusterrolebindings; hands out immutable snapshots.
class rbac_table {
public:
  rbac_table();
  rbac_table(rbac_table&&) noexcept;
  rbac_table& operator=(rbac_table&&) noexcept;
  ~rbac_table();
  /// `object` of kind Role, ClusterRole, RoleBinding or ClusterRoleBinding; others are ignored.
  void upsert(const json::value& object);
  void erase(std::string_view kind, std::string_view ns, std::string_view name);
  /// Rebuilt only when something changed since the last call.
  std::shared_ptr<const rbac_rules> snapshot();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// why of a 403: `User "u" cannot get resource "pods/log" in API group "" in the namespace "n"`.
std::string denial(const attributes& a, const identity& who);
/// why of a 403 on roles and bindings: `user "u" (groups=[...]) is attempting to grant RBAC permissions not currently
/// held:\n{...}`.
std::string escalation_denial(const identity& who, std::span<const policy_rule> missing);
/// Does one of `held` together with the others cover `wanted`?
bool covers(std::span<const policy_rule> held, const policy_rule& wanted);

/// The rules an aggregated ClusterRole takes from the others (sorted by role name); nullopt when it aggregates nothing.
std::optional<json::array> aggregated_rules(const json::value& cluster_role,
                                            std::span<const json::value> cluster_roles);

/// Every default ClusterRole, Role and binding as objects to create, with labels, annotations and filled aggregates.
std::vector<json::value> bootstrap_rbac();

} // namespace troupe::rbac
