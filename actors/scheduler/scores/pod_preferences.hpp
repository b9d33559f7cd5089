// pod_preferences: raw scores of preferred pod affinity, anti-affinity and ScheduleAnyway spreading.
// Owner:  one planning run; holds sums taken when it was made.
// Units:  sums of weights per (topology key, value); the planner scales them.
// Errors: -
// Source: kube-scheduler InterPodAffinity and PodTopologySpread scoring (simplified: one weight for spreading).
#pragma once

#include "actors/scheduler/cluster_state.hpp"

#include <map>
#include <string>
#include <utility>

namespace troupe::sched::scores {

class pod_preferences {
public:
  pod_preferences(const pod_request& p, const cluster_state& cluster);
  std::int64_t operator()(const node_info& n) const;
  bool empty() const noexcept { return sums_.empty(); }

private:
  std::map<std::string, std::map<std::string, std::int64_t>> sums_; // topology key -> value -> weight
};

} // namespace troupe::sched::scores
