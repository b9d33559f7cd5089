// node: one running node: its actor system, its components under their supervisor, its HTTPS front.
// Owner:  the `up` verb; start and stop are called from the main thread.
// Units:  -
// Errors: start answers one sentence that says what to do (port in use, missing privilege, other owner of the data).
// Source: ours; docs/ARCHITECTURE.md, "The node".
#pragma once

#include "actors/node/cluster_config.hpp"
#include "actors/node/member_identity.hpp"
#include "actors/support/member_directory.hpp"
#include "api/status.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace troupe::node {

struct node_options {
  cluster_config cluster;
  node_config self;
  std::string data_dir; // DIR; this node's own state lies in DIR/NAME
  /// Which member of the group a master of several nodes is; see member_identity.
  member_decision member;
  /// Of a master that joins: where the masters are now, as the group says. Empty: as the config says.
  std::vector<master_row> masters;
  /// Asked while the start waits for other nodes: true ends it. May be empty.
  std::function<bool()> give_up;
};

class running_node {
public:
  virtual ~running_node() = default; // stops when still running
  /// Ordered: front closed, components stopped, log flushed. Containers keep running.
  virtual void stop() = 0;
  virtual std::uint16_t api_port() const = 0;
  virtual std::string kubeconfig_path() const = 0;
};

/// Returns when the API answers /readyz; on a node that is no master, when its kubelet runs.
result<std::unique_ptr<running_node>> start_node(const node_options&);

/// Removes containers, network rules, mounts and data of every node in the data dir. Nothing may run on it.
result<void> purge_data_dir(const std::string& data_dir);

} // namespace troupe::node
