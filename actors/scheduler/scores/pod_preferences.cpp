#include "actors/scheduler/scores/pod_preferences.hpp"

namespace troupe::sched::scores {

pod_preferences::pod_preferences(const pod_request& p, const cluster_state& cluster) {
  bool spreads = false;
  for (const auto& c : p.spread)
    spreads = spreads || !c.hard;
  if (p.preferred_affinity.empty() && p.preferred_anti_affinity.empty() && !spreads) return;
  auto add = [&](const node_info& n, const std::string& key, std::int64_t weight) {
    if (auto value = n.label(key)) sums_[key][*value] += weight;
  };
  for (const auto* n : cluster.nodes())
    for (const auto& q : n->pods) {
      const auto& ns_labels = cluster.namespace_labels(q->ns);
      for (const auto& t : p.preferred_affinity)
        if (t.covers(q->ns, ns_labels, q->labels)) add(*n, t.topology_key, t.weight);
      for (const auto& t : p.preferred_anti_affinity)
        if (t.covers(q->ns, ns_labels, q->labels)) add(*n, t.topology_key, -t.weight);
      for (const auto& c : p.spread)
        if (!c.hard && q->ns == p.ns && c.selector.matches(q->labels)) add(*n, c.topology_key, -1);
    }
}

std::int64_t pod_preferences::operator()(const node_info& n) const {
  std::int64_t sum = 0;
  for (const auto& [key, values] : sums_)
    if (auto value = n.label(key))
      if (auto it = values.find(*value); it != values.end()) sum += it->second;
  return sum;
}

} // namespace troupe::sched::scores
