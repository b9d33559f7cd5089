#include "actors/scheduler/filters/pod_affinity.hpp"

#include <algorithm>

namespace troupe::sched::filters {

pod_affinity::pod_affinity(const pod_request& p, const cluster_state& cluster) : pod_(p) {
  const auto& own_ns = cluster.namespace_labels(p.ns);
  for (const auto& [uid, node] : cluster.repelling()) {
    auto placed = cluster.pod(uid);
    for (const auto& t : placed->anti_affinity)
      if (auto value = node->label(t.topology_key); value && t.covers(p.ns, own_ns, p.labels))
        repelled_.emplace(t.topology_key, *value);
  }
  if (p.affinity.empty() && p.anti_affinity.empty()) return;
  for (const auto* node : cluster.nodes())
    for (const auto& q : node->pods) {
      const auto& ns_labels = cluster.namespace_labels(q->ns);
      auto covers = [&](const pod_term& t) { return t.covers(q->ns, ns_labels, q->labels); };
      if (!p.affinity.empty() && std::all_of(p.affinity.begin(), p.affinity.end(), covers))
        for (const auto& t : p.affinity)
          if (auto value = node->label(t.topology_key)) ++wanted_[{t.topology_key, *value}];
      for (const auto& t : p.anti_affinity)
        if (auto value = node->label(t.topology_key); value && covers(t)) shunned_.emplace(t.topology_key, *value);
    }
  first_of_group_ = wanted_.empty() && std::all_of(p.affinity.begin(), p.affinity.end(),
                                                   [&](const auto& t) { return t.covers(p.ns, own_ns, p.labels); });
}

bool pod_affinity::operator()(const node_info& n, refusals& why) const {
  for (const auto& t : pod_.affinity) {
    auto value = n.label(t.topology_key);
    if (value && (first_of_group_ || wanted_.contains({t.topology_key, *value}))) continue;
    why.add("node(s) didn't match pod affinity rules", true);
    return false;
  }
  for (const auto& t : pod_.anti_affinity)
    if (auto value = n.label(t.topology_key); value && shunned_.contains({t.topology_key, *value})) {
      why.add("node(s) didn't match pod anti-affinity rules", false);
      return false;
    }
  for (const auto& [key, domain_value] : repelled_)
    if (auto value = n.label(key); value && *value == domain_value) {
      why.add("node(s) didn't satisfy existing pods anti-affinity rules", false);
      return false;
    }
  return true;
}

} // namespace troupe::sched::filters
