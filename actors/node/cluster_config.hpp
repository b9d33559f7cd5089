// cluster_config: the TroupeCluster file as a value; every mistake is named with line, column and the nearest key.
// Owner:  plain value; parsed by the `up` verb before anything is started.
// Units:  ports 1-65535; CIDRs as text, IPv4.
// Errors: config_error list; never a half-filled config.
// Source: ours, design section 6 (outer contract).
#pragma once

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

struct cluster_config {
  std::string name = "troupe";
  network_config network;
  log_config logging;
  std::vector<node_config> nodes;
};

/// One node with both roles, named `name`.
cluster_config single_node_config(std::string name);

/// Parses and validates. `text` may come from anywhere: any input is harmless.
std::variant<cluster_config, std::vector<config_error>> parse_cluster_config(std::string_view text);

/// The known word nearest to `word` (edit distance at most 3), for "did you mean".
std::optional<std::string> nearest_word(std::string_view word, const std::vector<std::string>& known);

} // namespace troupe::node
