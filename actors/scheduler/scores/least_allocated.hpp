// least_allocated: prefers nodes with more cpu and memory left after placing the pod.
// Owner:  -; pure.
// Units:  0 to limits::node_score_max.
// Errors: -
// Source: kube-scheduler NodeResourcesFit, strategy LeastAllocated.
#pragma once

#include "actors/scheduler/limits.hpp"
#include "actors/scheduler/node_info.hpp"

namespace troupe::sched::scores {

inline std::int64_t left_share(std::int64_t wanted, std::int64_t have) noexcept {
  return have <= 0 || wanted > have ? 0 : (have - wanted) * limits::node_score_max / have;
}

inline std::int64_t least_allocated(const pod_request& p, const node_info& n) noexcept {
  auto cpu = left_share(n.score_used.cpu + p.score_needs.cpu, n.allocatable.cpu);
  auto memory = left_share(n.score_used.memory + p.score_needs.memory, n.allocatable.memory);
  return (cpu + memory) / 2;
}

} // namespace troupe::sched::scores
