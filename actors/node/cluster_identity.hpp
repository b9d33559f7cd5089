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

/// The one node that founded a cluster by itself. It lives in the machine's own network, never in a namespace, and
/// has a slice of the pod range from the start, so that the nodes that come later find theirs free.
struct lone_founder {
  std::string node;     // empty: several nodes founded the cluster
  std::string pod_cidr; // its slice
  std::string address;  // where it was reached at its last start; a config may say another
  bool grew = false;    // another master was added once: this one's data is no longer the only copy
  friend bool operator==(const lone_founder&, const lone_founder&) = default;
};

struct cluster_identity {
  std::string id;
  std::string pod_cidr, service_cidr;

  lone_founder alone;
  // Empty in directories from before lone founders had a slice: there the one node holds the whole pod range.
  std::map<std::string, std::uint64_t> founders; // master -> member id, numbered from 1 in the order of the config
  /// Founders whose store was made on this machine. Such a store that is gone held votes and acknowledged writes, so
  /// its member must not begin anew under the same id.
  std::set<std::string> begun;
  std::string node_cidr;                        // of the nodes in network namespaces; empty: there are none
  std::map<std::string, std::string> addresses; // node in a namespace -> its address

  /// Has several nodes or may get them: its masters link with each other, its nodes have slices of the pod range.
  bool can_grow() const noexcept { return !founders.empty(); }
  /// One node founded it and no other master ever came.
  bool one_copy() const noexcept { return !can_grow() || (!alone.node.empty() && !alone.grew); }
};

/// Where the other nodes reach this one: the config's word, else what was chosen for its namespace; may be empty.
std::string address_of(const cluster_identity&, const node_config&);
/// Bits of the network each node takes out of the cluster's pod range; a lone founder with many pods takes a larger
/// one.
inline constexpr int node_pod_bits = 24;
/// The first slice of the range that holds `pods_max` pods, at least one of node_pod_bits.
std::string first_pod_slice(std::string_view pod_cidr, std::int64_t pods_max);
/// The pod network that a node has without asking the cluster; empty: the cluster gives it one.
std::string fixed_pod_range(const cluster_identity&, const std::string& node_name);
/// Why no master can be added while `self`, the only one, runs like this; empty: it can.
std::string growth_refusal(const cluster_identity&, const node_config& self, const std::string& data_dir);

/// Directories and names that follow from the identity.
struct node_layout {
  std::string data_dir, node_dir, run_dir, cgroup, bridge, containers_dir;
};
node_layout layout_of(const std::string& data_dir, const std::string& node_name, const cluster_identity&);

/// Reads DIR/cluster.json, or chooses and writes it. Nodes that the config added since get addresses.
result<cluster_identity> open_identity(const std::string& data_dir, const cluster_config&);
/// Notes that this founder's store exists from now on.
result<void> mark_begun(const std::string& data_dir, const std::string& node_name);
/// Notes that the group of masters has had more than one member.
result<void> mark_grown(const std::string& data_dir);
/// Notes where the lone founder is reached, for the nodes of this machine whose config does not say.
result<void> note_address(const std::string& data_dir, const std::string& address);
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
