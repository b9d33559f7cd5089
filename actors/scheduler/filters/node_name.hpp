// node_name: keeps a pod to the node that its node-name field asks for.
// Owner:  -; pure.
// Units:  -
// Errors: adds its reason to `why`.
// Source: kube-scheduler NodeName.
#pragma once

#include "actors/scheduler/node_info.hpp"
#include "actors/scheduler/refusals.hpp"

namespace troupe::sched::filters {

inline bool node_name(const pod_request& p, const node_info& n, refusals& why) {
  if (p.node_name.empty() || p.node_name == n.name) return true;
  why.add("node(s) didn't match the requested node name", true);
  return false;
}

} // namespace troupe::sched::filters
