// node_lifecycle_core: what the conditions, taints and pods of one node should be, given when it was last heard of.
// Owner:  node_lifecycle_controller; pure.
// Units:  seconds as options say.
// Errors: -
// Source: Kubernetes pkg/controller/nodelifecycle and tainteviction.
#pragma once

#include "actors/controllers/action.hpp"
#include "actors/controllers/cluster_cache.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace troupe::ctl {

struct node_input {
  const item& node;
  std::vector<item_ptr> pods; // bound to it
  sys_micros heard;           // last sign of life
  std::chrono::seconds grace;
  sys_micros now;
};

outcome node_look(const node_input& in);

struct node_taint {
  std::string key, value, effect;
  std::optional<sys_micros> added;
};
/// When the pod must leave because of NoExecute taints: nothing, or an instant (past: now).
std::optional<sys_micros> eviction_time(const pod_facts& p, const std::vector<node_taint>& taints, sys_micros now);

} // namespace troupe::ctl
