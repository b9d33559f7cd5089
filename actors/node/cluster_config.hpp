// cluster_config: the TroupeCluster file as a value; every mistake is named with line, column and the nearest key.
// Owner:  plain value; parsed by the `up` verb before anything is started.
// Units:  ports 1-65535; addresses and CIDRs as text, IPv4; durations in chrono, written 50ms, 2s, 1m.
// Errors: config_error list; never a half-filled config.
// Source: ours, design section 6 (outer contract).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace troupe::node {

struct config_error {
  int line = 0, column = 0; // 1-based
  std::string what;         // sentence: what was found, what was expected, nearest known key
};

struct node_ports {
  std::uint16_t api = 6443;
  std::uint16_t actors = 6444;
  std::uint16_t proxy_health = 10256;
};

struct node_config {
  std::string name;
  bool master = true, worker = true;
  std::string listen = "0.0.0.0"; // address of the API
  /// Where the other nodes reach this one. Empty in a cluster of several nodes: `up` makes it a network namespace.
  std::string address;
  int priority = 0; // of a master: among those that hold everything the highest leads
  node_ports ports;
  std::map<std::string, std::string> labels;
  std::int64_t pods_max = 110;
};

struct network_config {
  std::string pod_cidr = "auto";     // auto: the first of 10.244.0.0/16, 10.245.0.0/16 … that no other route uses
  std::string service_cidr = "auto"; // auto: 10.96.0.0/16, then 10.97.0.0/16 …
  std::string cluster_domain = "cluster.local";
  std::string service_mode = "auto"; // auto, iptables, nftables
  std::uint16_t node_port_first = 30000, node_port_last = 32767;
};

struct log_config {
  std::string level = "info";
  std::map<std::string, std::string> levels; // component -> level
};

struct raft_config {
  std::chrono::milliseconds heartbeat{50};
  std::chrono::milliseconds election_timeout{500}; // jittered up to twice this
  bool lease_reads = false;                        // trusts that the masters' clocks run at nearly one rate
  std::chrono::seconds check_every{60};            // state hashes of all masters are compared; 0: never
};

struct cluster_config {
  std::string name = "troupe";
  network_config network;
  raft_config raft;
  log_config logging;
  std::vector<node_config> nodes;
  std::vector<config_error> warnings; // accepted, but the user should know

  std::size_t masters() const noexcept;
  const node_config* node(std::string_view name) const noexcept;
};

/// One node with both roles, named `name`.
cluster_config single_node_config(std::string name);

/// Parses and validates. `text` may come from anywhere: any input is harmless.
std::variant<cluster_config, std::vector<config_error>> parse_cluster_config(std::string_view text);

/// The known word nearest to `word` (edit distance at most 3), for "did you mean".
std::optional<std::string> nearest_word(std::string_view word, const std::vector<std::string>& known);

} // namespace troupe::node
