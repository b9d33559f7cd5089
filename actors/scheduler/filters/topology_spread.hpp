// topology_spread: keeps the skew of matching pods between domains within maxSkew (DoNotSchedule constraints).
// Owner:  one planning run; holds counts taken when it was made.
// Units:  counts of pods per topology value.
// Errors: adds its reason to `why`.
// Source: kube-scheduler PodTopologySpread.
#pragma once

#include "actors/scheduler/cluster_state.hpp"
#include "actors/scheduler/refusals.hpp"

#include <string>
#include <unordered_map>
#include <vector>

namespace troupe::sched::filters {

class topology_spread {
public:
  topology_spread(const pod_request& p, const cluster_state& cluster);
  bool operator()(const node_info& n, refusals& why) const;

private:
  struct counted {
    const spread_constraint* rule;
    std::unordered_map<std::string, std::int64_t> domains;
    std::int64_t lowest = 0, self = 0;
  };
  std::vector<counted> rules_;
};

} // namespace troupe::sched::filters
