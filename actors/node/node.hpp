// node: one running node: its actor system, its components under their supervisor, its HTTPS front.
// Owner:  the `up` verb; start and stop are called from the main thread.
// Units:  -
// Errors: start answers one sentence that says what to do (port in use, missing privilege, other owner of the data).
// Source: ours; docs/ARCHITECTURE.md, "The node".
#pragma once

#include "actors/node/cluster_config.hpp"
#include "api/status.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace troupe::node {

struct node_options {
  cluster_config cluster;
  node_config self;
  std::string data_dir; // DIR; this node's own state lies in DIR/NAME
};

class running_node {
public:
  virtual ~running_node() = default; // stops when still running
  /// Ordered: front closed, components stopped, log flushed. Containers keep running.
  virtual void stop() = 0;
  virtual std::uint16_t api_port() const = 0;
  virtual std::string kubeconfig_path() const = 0;
};

/// Returns when the API answers /readyz.
result<std::unique_ptr<running_node>> start_node(const node_options&);

/// Removes containers, network rules, mounts and data of every node in the data dir. Nothing may run on it.
result<void> purge_data_dir(const std::string& data_dir);

} // namespace troupe::node
