// preferences: raw scores of wishes: preferred node affinity, and taints that discourage (less is better).
// Owner:  -; pure.
// Units:  sums of weights and counts; the planner scales them to limits::node_score_max over all candidates.
// Errors: -
// Source: kube-scheduler NodeAffinity and TaintToleration scoring.
#pragma once

#include "actors/scheduler/node_info.hpp"

#include <algorithm>

namespace troupe::sched::scores {

inline std::int64_t preferred_terms(const pod_request& p, const node_info& n) noexcept {
  std::int64_t sum = 0;
  for (const auto& t : p.preferred_terms)
    if (t.matches(n.labels, n.name)) sum += t.weight;
  return sum;
}

inline std::int64_t discouraging_taints(const pod_request& p, const node_info& n) noexcept {
  return std::count_if(n.taints.begin(), n.taints.end(), [&](const taint& t) {
    return t.effect == "PreferNoSchedule" &&
           std::none_of(p.tolerations.begin(), p.tolerations.end(), [&](const auto& x) { return x.tolerates(t); });
  });
}

} // namespace troupe::sched::scores
