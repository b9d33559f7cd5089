// replica_set_core: which pods one ReplicaSet creates, deletes, adopts and releases, and its status.
// Owner:  replica_set_controller; pure.
// Units:  at most batch_max creations and limits::burst_replicas_max deletions per look.
// Errors: -
// Source: Kubernetes pkg/controller/replicaset and controller_utils (ActivePodsWithRanks).
#pragma once

#include "actors/controllers/action.hpp"
#include "actors/controllers/cluster_cache.hpp"

#include <functional>
#include <string>
#include <vector>

namespace troupe::ctl {

struct replica_set_input {
  const item& rs;
  std::vector<item_ptr> owned;   // pods controlled by it
  std::vector<item_ptr> orphans; // pods of the namespace without a controller
  /// How many active pods of the same owner run on a node; those on crowded nodes go first.
  std::function<std::size_t(const std::string& node)> crowd;
  std::size_t batch_max = 1; // slow start: doubled by the caller while creations succeed
  std::string create_error;  // of the last batch; empty: none
  sys_micros now;
};

struct replica_set_output {
  outcome out;
  std::size_t creates = 0;
  std::size_t missing = 0; // replicas still to be created after this look
};

replica_set_output replica_set_look(const replica_set_input& in);

/// True when `a` is to be deleted before `b`.
bool goes_first(const item& a, const item& b, std::size_t crowd_a, std::size_t crowd_b, sys_micros now);
/// Ready for at least `min_ready`; otherwise `until` says when it will be.
bool available(const pod_facts& p, std::chrono::seconds min_ready, sys_micros now, std::optional<sys_micros>* until);
/// A pod from the template at `doc.spec.template`, named after and controlled by `doc`.
json::value pod_from_template(const json::value& doc);

} // namespace troupe::ctl
