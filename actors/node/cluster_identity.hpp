// cluster_identity: what a data dir's cluster is called on this host and which address ranges it took, fixed at
//                   first start.
// Owner:  made before any actor; plain value.
// Units:  id: 6 lower-case hex digits, in the name of everything the project leaves on the host.
// Errors: unreadable or foreign file, no free range: one sentence.
// Source: ours: ranges are claimed in /run/troupe/<id>, so that two clusters on one machine never share one.
#pragma once

#include "actors/node/cluster_config.hpp"
#include "api/status.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace troupe::node {

struct cluster_identity {
  std::string id;
  std::string pod_cidr, service_cidr;

  // Of a cluster that several nodes founded; all empty otherwise.
  std::map<std::string, std::uint64_t> founders; // master -> member id, numbered from 1 in the order of the config
  /// Founders whose store was made on this machine. Such a store that is gone held votes and acknowledged writes, so
  /// its member must not begin anew under the same id.
  std::set<std::string> begun;
  std::string node_cidr;                        // of the nodes in network namespaces; empty: there are none
  std::map<std::string, std::string> addresses; // node in a namespace -> its address

  bool several() const noexcept { return !founders.empty(); }
};

/// Where the other nodes reach this one: the config's word, else what was chosen for its namespace; may be empty.
std::string address_of(const cluster_identity&, const node_config&);
/// Bits of the network each node of several takes out of the cluster's pod range.
inline constexpr int node_pod_bits = 24;

/// Directories and names that follow from the identity.
struct node_layout {
  std::string data_dir, node_dir, run_dir, cgroup, bridge, containers_dir;
};
node_layout layout_of(const std::string& data_dir, const std::string& node_name, const cluster_identity&);

/// Reads DIR/cluster.json, or chooses and writes it. Nodes that the config added since get addresses.
result<cluster_identity> open_identity(const std::string& data_dir, const cluster_config&);
/// Notes that this founder's store exists from now on.
result<void> mark_begun(const std::string& data_dir, const std::string& node_name);
/// Reads it when it is there; 404 otherwise.
result<cluster_identity> read_identity(const std::string& data_dir);

struct ipv4_range {
  std::uint32_t first = 0, last = 0;
  bool overlaps(const ipv4_range& o) const noexcept { return first <= o.last && o.first <= last; }
};
std::optional<ipv4_range> parse_range(std::string_view cidr);
/// The n-th address of a range as text: 10.96.0.0/16, 1 -> 10.96.0.1.
std::string address_at(std::string_view cidr, std::uint32_t n);
/// First of `base`.x.0.0/16 with x = start … 255 that overlaps nothing in `taken`; empty when all do.
std::string free_range(std::uint8_t base, std::uint8_t start, const std::vector<ipv4_range>& taken);
/// First of 10.200.0.0/24, 10.201.0.0/24 … that overlaps nothing in `taken`; empty when all do.
std::string free_node_range(const std::vector<ipv4_range>& taken);
/// Networks of the routes in the text of /proc/net/route, without the default route.
std::vector<ipv4_range> routed_ranges(std::string_view proc_net_route);

} // namespace troupe::node
