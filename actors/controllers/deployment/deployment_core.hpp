// deployment_core: one step of a Deployment: which ReplicaSets to make, scale, adopt or delete, and its status.
// Owner:  deployment_controller; pure.
// Units:  counts of pods.
// Errors: an unusable selector or strategy yields no action but a note.
// Source: Kubernetes pkg/controller/deployment (sync, rolling, recreate, progress).
#pragma once

#include "actors/controllers/action.hpp"
#include "actors/controllers/cluster_cache.hpp"

#include <string>
#include <vector>

namespace troupe::ctl {

struct deployment_input {
  const item& deployment;
  std::vector<item_ptr> owned;   // ReplicaSets controlled by it
  std::vector<item_ptr> orphans; // ReplicaSets of the namespace without a controller
  /// A ReplicaSet of this name that is not ours, when the name of the new one is taken.
  std::function<item_ptr(const std::string& name)> named;
  /// True while pods of old ReplicaSets still run (only asked for Recreate).
  std::function<bool(const std::vector<item_ptr>& old)> old_pods_run;
  sys_micros now;
};

outcome deployment_look(const deployment_input& in);

} // namespace troupe::ctl
