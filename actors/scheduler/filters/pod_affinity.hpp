// pod_affinity: required affinity and anti-affinity between pods, of the newcomer and of those already placed.
// Owner:  one planning run; holds counts taken when it was made.
// Units:  counts of pods per (topology key, value).
// Errors: adds its reason to `why`.
// Source: kube-scheduler InterPodAffinity.
//
// Counting happens once per pod, not per node, and only for pods that have such terms. A pod whose affinity selects
// nothing that exists may go anywhere when it matches its own terms: otherwise the first of a group never starts.
#pragma once

#include "actors/scheduler/cluster_state.hpp"
#include "actors/scheduler/refusals.hpp"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace troupe::sched::filters {

class pod_affinity {
public:
  pod_affinity(const pod_request& p, const cluster_state& cluster);
  bool operator()(const node_info& n, refusals& why) const;

private:
  using domain = std::pair<std::string, std::string>; // topology key, value
  const pod_request& pod_;
  std::map<domain, std::size_t> wanted_; // pods matching all affinity terms
  std::set<domain> shunned_;             // of the newcomer's anti-affinity
  std::set<domain> repelled_;            // of placed pods' anti-affinity
  bool first_of_group_ = false;
};

} // namespace troupe::sched::filters
