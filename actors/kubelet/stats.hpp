// stats: what the node's pods use, as the kubelet's summary document.
// Owner:  a worker thread.
// Units:  nano-cores need two readings; cumulative cpu in ns and memory in bytes.
// Errors: a container without readings is left out.
// Source: Kubernetes kubelet stats/v1alpha1 Summary.
#pragma once

#include "actors/kubelet/context.hpp"

namespace troupe::kubelet {

struct pod_ref {
  std::string ns, name, uid;
};
std::string stats_summary(const kubelet_context& ctx, const std::vector<pod_ref>& pods, wall_time now);

} // namespace troupe::kubelet
