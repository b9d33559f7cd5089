// deployment_facts: what the steps of deployment_core share: sizes, annotations, typed ReplicaSets under change.
// Owner:  deployment_core; pure.
// Units:  counts of pods.
// Errors: -
// Source: Kubernetes pkg/controller/deployment/util.
#pragma once

#include "actors/controllers/cluster_cache.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::ctl::deploy {

inline constexpr std::string_view revision_key = "deployment.kubernetes.io/revision";
inline constexpr std::string_view desired_key = "deployment.kubernetes.io/desired-replicas";
inline constexpr std::string_view max_key = "deployment.kubernetes.io/max-replicas";
inline constexpr std::string_view hash_label = "pod-template-hash";

/// A ReplicaSet as this look sees it; `want` is what it is to be scaled to.
struct replica_set {
  item_ptr i;
  std::int64_t have = 0, want = 0; // spec.replicas before and after this look
  std::int64_t actual = 0, ready = 0, available = 0;
  std::int64_t revision = 0;
};

struct facts {
  std::int64_t replicas = 1, max_surge = 0, max_unavailable = 0, min_ready_seconds = 0;
  std::int64_t revision_history_limit = 10;
  bool paused = false, recreate = false;
  std::int64_t max_total() const noexcept { return recreate ? replicas : replicas + max_surge; }
  std::int64_t min_available() const noexcept { return replicas - max_unavailable; }
};

facts read_facts(const json::value& deployment);
replica_set read_replica_set(const item_ptr& i);

template <class F>
std::int64_t sum(const std::vector<replica_set>& list, F field) {
  std::int64_t n = 0;
  for (const auto& r : list)
    n += r.*field;
  return n;
}

/// Rolling update, one step: raises `fresh` within the surge, lowers `old` within what may be unavailable.
/// True when something changed.
bool roll(const facts& f, replica_set& fresh, std::vector<replica_set>& old);
/// A change of the Deployment's size during a rollout: the difference is shared among ReplicaSets by their size.
void scale_proportionally(const facts& f, replica_set* fresh, std::vector<replica_set>& old);

} // namespace troupe::ctl::deploy
