// scheduler: binds pending pods to nodes; one actor around the pure schedule_planner.
// Owner:  the node supervisor (leader only, fenced by env.fence_term); stops on an exit message.
// Units:  at most scheduler_options::bindings_in_flight_max writes at a time.
// Errors: a pod that fits nowhere gets the condition PodScheduled=False and a FailedScheduling event, and waits for
//         an event that may help; a lost binding (409, timeout) is forgotten and the pod queues again.
// Source: Kubernetes scheduling queue, scheduling cycle and binding cycle.
#pragma once

#include "actors/support/component.hpp"

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace troupe {

struct scheduler_options {
  component_env env; // identity system:kube-scheduler
  /// Pods whose spec.schedulerName is another are left alone.
  std::string scheduler_name = "default-scheduler";
  /// Decides ties; one seed replays one run.
  std::uint64_t seed = 1;
  std::size_t bindings_in_flight_max = 512;
  /// 0: as kube-scheduler, 50 % falling to 5 % with the size of the cluster.
  int percentage_of_nodes_to_score = 0;
  std::chrono::milliseconds backoff_initial{1000}, backoff_max{10000};
  /// Unschedulable pods are tried again after this long even when no event helped.
  std::chrono::minutes unschedulable_retry{5};
  /// Decisions per message, so that events get their turn in between.
  std::size_t pods_per_turn = 64;
};

caf::actor spawn_scheduler(caf::actor_system& sys, scheduler_options options);

} // namespace troupe
