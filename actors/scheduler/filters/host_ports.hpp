// host_ports: refuses nodes where a host port of the pod is taken.
// Owner:  -; pure.
// Units:  -
// Errors: adds its reason to `why`.
// Source: kube-scheduler NodePorts.
#pragma once

#include "actors/scheduler/node_info.hpp"
#include "actors/scheduler/refusals.hpp"

namespace troupe::sched::filters {

inline bool host_ports(const pod_request& p, const node_info& n, refusals& why) {
  for (const auto& want : p.ports)
    for (const auto& taken : n.ports)
      if (want.collides(taken)) {
        why.add("node(s) didn't have free ports for the requested pod ports", false);
        return false;
      }
  return true;
}

} // namespace troupe::sched::filters
