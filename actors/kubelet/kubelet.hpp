// kubelet: makes the pods bound to one node run, and tells the API how they and the node are.
// Owner:  the node's supervisor spawns it; one actor, one child actor per pod, one for probes, one for the node object.
// Units:  worker threads and queues are bounded by kubelet/limits.hpp.
// Errors: everything that fails becomes a pod status, an event, a node condition or a refused stream; nothing throws.
// Source: Kubernetes kubelet; ours: actors and pure cores instead of sync loops.
#pragma once

#include "actors/protocol.hpp"
#include "actors/support/component.hpp"
#include "net/pod/network.hpp"
#include "runtime/engine.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace troupe {

struct kubelet_options {
  component_env env; // env.who is system:node:<name> in group system:nodes
  std::shared_ptr<runtime::engine> engine;
  std::shared_ptr<runtime::image_store> images;
  std::shared_ptr<net::pod_network> network; // null: pods get no wire (hollow nodes); `up` was called by the node

  std::string node_name;
  std::string data_dir;              // of this node; pods/ and pod-logs/ are made below it
  std::string host_ip = "127.0.0.1"; // InternalIP
  std::string pod_cidr;              // also written to the Node when it has none
  std::string cluster_dns;           // nameserver of ClusterFirst pods; empty: the host's
  std::string cluster_domain = "cluster.local";
  std::map<std::string, std::string> labels; // beside the standard ones
  std::vector<json::value> taints;           // set when the Node is created
  int max_pods = 110;
  std::string hostname; // label kubernetes.io/hostname and address; empty: the node name

  /// Hollow nodes: no directories, volumes, probes over the network or host readings, and no threads: work runs
  /// inside the actors (the hollow engine never blocks).
  bool hollow = false;
  std::string hollow_cpu = "8", hollow_memory = "32Gi";
  /// Threads for engine calls; 0 runs them inside the actors (tests, hollow).
  unsigned worker_threads = 6;
  /// Time of day; tests and simulations give virtual time. Empty: the system clock.
  std::function<std::chrono::system_clock::time_point()> wall_clock;
};

/// Registers the node, adopts what runs, follows the pods of the node.
/// Stop: send exit_reason::user_shutdown; children end first, containers stay as they are.
kubelet_actor spawn_kubelet(caf::actor_system& system, kubelet_options options);

} // namespace troupe
