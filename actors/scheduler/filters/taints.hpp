// taints: refuses nodes with a NoSchedule or NoExecute taint that the pod does not tolerate.
// Owner:  -; pure.
// Units:  -
// Errors: adds its reason to `why`, naming the first such taint.
// Source: kube-scheduler TaintToleration.
#pragma once

#include "actors/scheduler/node_info.hpp"
#include "actors/scheduler/refusals.hpp"

#include <algorithm>

namespace troupe::sched::filters {

inline const taint* untolerated(const pod_request& p, const node_info& n) {
  for (const auto& t : n.taints) {
    if (t.effect != "NoSchedule" && t.effect != "NoExecute") continue;
    if (std::none_of(p.tolerations.begin(), p.tolerations.end(), [&](const auto& x) { return x.tolerates(t); }))
      return &t;
  }
  return nullptr;
}

inline bool taints(const pod_request& p, const node_info& n, refusals& why) {
  if (n.taints.empty()) return true;
  auto t = untolerated(p, n);
  if (!t) return true;
  why.add("node(s) had untolerated taint {" + t->key + ": " + t->value + "}", true);
  return false;
}

} // namespace troupe::sched::filters
