// node_unschedulable: refuses cordoned nodes unless the pod tolerates the unschedulable taint.
// Owner:  -; pure.
// Units:  -
// Errors: adds its reason to `why`.
// Source: kube-scheduler NodeUnschedulable.
#pragma once

#include "actors/scheduler/node_info.hpp"
#include "actors/scheduler/refusals.hpp"

#include <algorithm>

namespace troupe::sched::filters {

inline bool node_unschedulable(const pod_request& p, const node_info& n, refusals& why) {
  if (!n.unschedulable) return true;
  static const taint cordon{"node.kubernetes.io/unschedulable", "", "NoSchedule"};
  if (std::any_of(p.tolerations.begin(), p.tolerations.end(), [](const auto& t) { return t.tolerates(cordon); }))
    return true;
  why.add("node(s) were unschedulable", true);
  return false;
}

} // namespace troupe::sched::filters
