// controllers: one actor that runs every controller of the control plane over one shared cache.
// Owner:  the node supervisor (leader only, fenced by env.fence_term); stops on an exit message.
// Units:  at most controller_options::writes_in_flight_max writes at a time over all controllers.
// Errors: a failed write puts its key back with back-off; nothing is lost, since every controller is level-triggered.
// Source: Kubernetes kube-controller-manager.
#pragma once

#include "actors/support/component.hpp"

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

struct controller_options {
  component_env env; // identity system:kube-controller-manager
  /// PEM of the cluster CA: content of the ConfigMap kube-root-ca.crt of each namespace. Empty: that one is not run.
  std::string ca_pem;
  /// Seed of generated name suffixes.
  std::uint64_t seed = 1;
  std::size_t writes_in_flight_max = 512;
  std::chrono::milliseconds backoff_initial{20}, backoff_max{60000};

  // node lifecycle
  std::chrono::seconds node_monitor_grace{40};
  /// Grace after start before a node that was never heard of counts as gone.
  std::chrono::seconds node_startup_grace{60};
  /// Pods of a Node that was deleted are removed after this.
  std::chrono::seconds node_orphan_quarantine{40};

  /// Every Node gets a network of this many bits out of this range; empty: Nodes bring their own.
  std::string node_cidr_range;
  int node_cidr_bits = 24;

  /// Events older than this are deleted.
  std::chrono::minutes event_ttl{60};
};

caf::actor spawn_controllers(caf::actor_system& sys, controller_options options);

} // namespace troupe
