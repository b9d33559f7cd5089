#include "actors/controllers/rbac/role_aggregation.hpp"

#include "api/meta/object_meta.hpp"
#include "api/meta/selector.hpp"

#include <algorithm>

namespace troupe::ctl {

namespace {
constexpr std::string_view table = "clusterroles.rbac.authorization.k8s.io";
constexpr resource_ref cluster_roles{"rbac.authorization.k8s.io", "v1", "clusterroles"};
} // namespace

void role_aggregation::observe(const change& c, const cluster_cache& cache, sys_micros) {
  if (c.table != table) return;
  // Any role may be part of any aggregated one: there are few of those.
  cache.each(table, [&](const item_ptr& r) {
    if (!jq::arr(r->doc, {"aggregationRule", "clusterRoleSelectors"}).empty()) queue.add(r->name());
  });
}

outcome role_aggregation::reconcile(const std::string& key, const world& w) {
  outcome out;
  auto role = w.cache.get(table, {}, key);
  if (!role || role->deleting) return out;
  json::array rules;
  for (const auto& s : jq::arr(role->doc, {"aggregationRule", "clusterRoleSelectors"})) {
    auto sel = label_selector::from_object(&s);
    if (!sel) continue;
    w.cache.each(table, [&](const item_ptr& r) {
      if (r->name() == key || !sel->matches(r->raw->meta().labels)) return;
      for (const auto& rule : jq::arr(r->doc, {"rules"}))
        if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(rule);
    });
  }
  if (rules == jq::arr(role->doc, {"rules"})) return out;
  json::object patch{{"metadata", {{"resourceVersion", meta::resource_version(role->doc)}}}};
  patch["rules"] = rules.empty() ? json::value(nullptr) : json::value(std::move(rules));
  out.actions.push_back(act::merge(cluster_roles, {}, key, std::move(patch)));
  return out;
}

} // namespace troupe::ctl
