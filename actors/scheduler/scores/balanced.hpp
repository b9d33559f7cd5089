// balanced: prefers nodes whose shares of cpu and memory in use stay alike.
// Owner:  -; pure.
// Units:  0 to limits::node_score_max.
// Errors: -
// Source: kube-scheduler NodeResourcesBalancedAllocation: 1 - standard deviation of the two shares.
#pragma once

#include "actors/scheduler/limits.hpp"
#include "actors/scheduler/node_info.hpp"

#include <algorithm>
#include <cmath>

namespace troupe::sched::scores {

inline std::int64_t balanced(const pod_request& p, const node_info& n) noexcept {
  auto share = [](std::int64_t wanted, std::int64_t have) {
    return have <= 0 ? 1.0 : std::min(1.0, static_cast<double>(wanted) / static_cast<double>(have));
  };
  auto cpu = share(n.used.cpu + p.needs.cpu, n.allocatable.cpu);
  auto memory = share(n.used.memory + p.needs.memory, n.allocatable.memory);
  auto deviation = std::abs(cpu - memory) / 2;
  return static_cast<std::int64_t>((1.0 - deviation) * static_cast<double>(limits::node_score_max));
}

} // namespace troupe::sched::scores
