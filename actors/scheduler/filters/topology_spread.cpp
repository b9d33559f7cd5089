#include "actors/scheduler/filters/topology_spread.hpp"

#include "actors/scheduler/filters/node_affinity.hpp"
#include "actors/scheduler/filters/taints.hpp"

#include <algorithm>

namespace troupe::sched::filters {

topology_spread::topology_spread(const pod_request& p, const cluster_state& cluster) {
  for (const auto& c : p.spread)
    if (c.hard) rules_.push_back({&c, {}, 0, c.selector.matches(p.labels) ? 1 : 0});
  for (auto& r : rules_) {
    for (const auto* n : cluster.nodes()) {
      auto has_all_keys = std::all_of(rules_.begin(), rules_.end(),
                                      [&](const auto& x) { return n->label(x.rule->topology_key) != nullptr; });
      if (!has_all_keys || (r.rule->honor_affinity && !selected(p, *n)) || (r.rule->honor_taints && untolerated(p, *n)))
        continue;
      auto& count = r.domains[*n->label(r.rule->topology_key)];
      for (const auto& q : n->pods)
        if (q->ns == p.ns && !q->deleting && r.rule->selector.matches(q->labels)) ++count;
    }
    // Fewer domains than asked for: the missing ones count as empty.
    if (static_cast<std::int64_t>(r.domains.size()) < r.rule->min_domains || r.domains.empty()) continue;
    r.lowest = std::min_element(r.domains.begin(), r.domains.end(), [](const auto& a, const auto& b) {
                 return a.second < b.second;
               })->second;
  }
}

bool topology_spread::operator()(const node_info& n, refusals& why) const {
  for (const auto& r : rules_) {
    auto value = n.label(r.rule->topology_key);
    if (!value) {
      why.add("node(s) didn't match pod topology spread constraints (missing required label)", true);
      return false;
    }
    auto it = r.domains.find(*value);
    auto here = it == r.domains.end() ? 0 : it->second;
    if (here + r.self - r.lowest > r.rule->max_skew) {
      why.add("node(s) didn't match pod topology spread constraints", false);
      return false;
    }
  }
  return true;
}

} // namespace troupe::sched::filters
