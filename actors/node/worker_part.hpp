// worker_part: what makes a node a worker: images, containers, the pod network, and the components that follow the API:
//              kubelet, proxy, dns, routes.
// Owner:  live_node, on the main thread.
// Units:  -
// Errors: one sentence that says what to do (missing privilege, host feature, no master in reach).
// Source: docs/ARCHITECTURE.md, "Actors".
#pragma once

#include "actors/link/cluster_link.hpp"
#include "actors/node/node_base.hpp"
#include "actors/node/supervisor.hpp"
#include "net/pod/network.hpp"
#include "runtime/engine.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace troupe::node {

class worker_part {
public:
  using env_source = std::function<component_env(identity)>;
  using announce_kubelet = std::function<void(const kubelet_actor&)>;

  explicit worker_part(node_base& base) : base_(base) {}

  /// Checks privileges and the host; opens images and the container engine. Before any actor.
  result<void> open_host();
  /// Makes the pod network, of the whole range in a cluster of one node.
  result<void> open_network(const std::string& pod_cidr);
  /// Connects to the masters and waits for the first whole copy of what this node may see; on nodes that are no master.
  result<void> open_link();
  /// `announce` is told of the kubelet at each of its starts where the API runs here (may be empty); where there is a
  /// link, it is served over that.
  std::vector<child_spec> components(env_source env, announce_kubelet announce);
  /// See cluster_link::on_start_over; never on a node that is a master.
  void on_start_over(std::function<void()> tell) const;
  /// What components are given on a node that is no master.
  component_env env(identity who) const;
  component_env kubelet_env(const env_source& env) const;

  std::shared_ptr<runtime::image_store> images() const { return images_; }
  std::shared_ptr<net::pod_network> network() const { return network_; }
  /// After the components.
  void stop();

private:
  child_spec proxy(env_source env) const;
  child_spec dns(env_source env) const;
  child_spec kubelet(env_source env, announce_kubelet announce) const;

  node_base& base_;
  std::shared_ptr<runtime::image_store> images_;
  std::shared_ptr<runtime::engine> engine_;
  std::shared_ptr<net::pod_network> network_;
  std::string pod_cidr_;
  link::cluster_link_handles link_;
};

} // namespace troupe::node
