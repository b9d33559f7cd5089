// node_base: what the master's part and the worker's part of one node share.
// Owner:  live_node; outlives both parts.
// Units:  -
// Errors: -
// Source: ours.
#pragma once

#include "actors/node/cluster_identity.hpp"
#include "actors/node/node.hpp"
#include "actors/support/component.hpp"
#include "net/tls/pki.hpp"

#include <caf/actor_system.hpp>

#include <future>
#include <memory>
#include <string>

namespace spdlog {
class logger;
}

namespace troupe::node {

/// What a component reads and writes the cluster through: a master's own store, or a worker's link.
struct cluster_door {
  api_actor api;
  std::shared_ptr<store::published> state;
  std::shared_ptr<store::watch_hub> hub;
};

struct node_base {
  node_options options;
  cluster_identity cluster;
  node_layout layout;
  std::string address; // InternalIP, and where other nodes reach this one
  std::shared_ptr<const tls::pki> keys;
  std::shared_ptr<spdlog::logger> log;
  std::shared_ptr<actor_board> board = std::make_shared<actor_board>();
  caf::actor_system* system = nullptr;

  const node_config& self() const noexcept { return options.self; }
  /// Other nodes may come, if they are not there yet: links, sessions and a pod network of its own.
  bool can_grow() const noexcept { return cluster.can_grow(); }
  /// Founded the cluster by itself, and lives in the machine's own network.
  bool founded_alone() const noexcept { return can_grow() && cluster.alone.node == options.self.name; }
  /// Lives in a network namespace of this machine.
  bool in_namespace() const { return self().address.empty() && cluster.addresses.contains(self().name); }
  component_env env(cluster_door door, identity who) const;
  /// Waits for `done`; says what it waits for now and then. False when the node was told to stop meanwhile.
  bool await(const std::shared_future<void>& done, const std::string& what) const;
};

/// The identity of a component of this program.
identity component_identity(std::string user, std::vector<std::string> groups = {});

/// The keys and certificates of a node below DIR/pki; what is missing is made. `addresses` are the serving
/// certificate's, beside the node's own.
result<std::shared_ptr<const tls::pki>> open_node_keys(const node_options&, const cluster_identity&,
                                                       const std::vector<std::string>& addresses);

} // namespace troupe::node
