// schedule_planner: chooses a node for one pending pod.
// Owner:  scheduler_actor; called on its thread only. Pure: cluster state, pod and random choice in, plan out.
// Units:  scores are sums of weighted scores of 0 to limits::node_score_max.
// Errors: a plan without a node carries the refusals of every node.
// Source: Kubernetes scheduling framework, filter and score phases; ties are decided by the caller's random source.
//
// Large clusters are sampled: looking starts where the last run ended and stops when enough nodes fit, so that the
// cost per pod stays flat while every node gets its turn.
#pragma once

#include "actors/scheduler/cluster_state.hpp"
#include "actors/scheduler/refusals.hpp"
#include "api/meta/names.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::sched {

struct scored_node {
  const node_info* node = nullptr;
  std::int64_t score = 0;
};

struct plan {
  std::string node;              // empty: fits nowhere
  std::vector<scored_node> fits; // candidates looked at, with scores
  refusals why;
  std::size_t looked_at = 0;
  std::size_t all_nodes = 0;
};

struct planner_options {
  int percentage_of_nodes_to_score = 0; // 0: adaptive
};

class schedule_planner {
public:
  explicit schedule_planner(planner_options o = {}) : options_(o) {}
  plan choose(const pod_request& p, const cluster_state& cluster, random_source& ties);
  /// The sentence for condition and event.
  static std::string explain(const plan& made, const pod_request& p, const cluster_state& cluster);
  std::size_t nodes_to_find(std::size_t all) const noexcept;

private:
  planner_options options_;
  std::size_t next_start_ = 0;
};

} // namespace troupe::sched
