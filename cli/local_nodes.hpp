// local_nodes: the nodes of a cluster of several that belong to this machine: their network, start, supervision, stop.
// Owner:  main thread of a verb; no other thread exists.
// Units:  patience in chrono.
// Errors: sentences that name the node.
// Source: design section 6: every node is a process of its own whose command line contains `--node NAME`.
#pragma once

#include "actors/node/cluster_identity.hpp"
#include "api/status.hpp"

#include <functional>
#include <string>
#include <vector>

namespace troupe::cli {

struct local_node {
  node::node_config config;
  std::string address;
  bool in_namespace = false;
};

/// The nodes of the config that run here: those without an address of their own (in namespaces, but for a lone
/// founder), and those whose address a device of this machine has.
std::vector<local_node> local_nodes(const node::cluster_config&, const node::cluster_identity&);

/// Makes the network of a node in a namespace; nothing for others. Idempotent; waits for other processes that do so.
result<void> prepare_network(const std::string& data_dir, const node::cluster_identity&, const local_node&);

/// What to run again for one node.
struct node_command {
  std::string name, node_dir;
  std::vector<std::string> args;
};
struct node_start {
  int pid = 0; // 0: it ended, or did not start
  bool ready = false;
};
/// Starts all at once and says per node whether it is ready; one result per command.
std::vector<node_start> start_nodes(const std::vector<node_command>&);
/// Starts nodes again that end by themselves, until SIGTERM or SIGINT comes or all were stopped by somebody else.
/// Both signals and SIGCHLD must be blocked.
void supervise_nodes(const std::vector<node_command>&, const std::vector<node_start>&);

/// Locked, with its pid, by the `up` that supervises the nodes of a data dir.
std::string supervisor_file(const std::string& data_dir);

/// Stops those that run: workers first, then the masters, of which the one that leads is the last. Says each name.
result<void> stop_nodes(const std::string& data_dir, const std::vector<std::string>& names);

} // namespace troupe::cli
