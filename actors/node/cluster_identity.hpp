// cluster_identity: what a data dir's cluster is called on this host and which address ranges it took, fixed at
//                   first start.
// Owner:  made before any actor; plain value.
// Units:  id: 6 lower-case hex digits, in the name of everything the project leaves on the host.
// Errors: unreadable or foreign file, no free range: one sentence.
// Source: ours: ranges are claimed in /run/troupe/<id>, so that two clusters on one machine never share one.
#pragma once

#include "actors/node/cluster_config.hpp"
#include "api/status.hpp"

#include <string>
#include <vector>

namespace troupe::node {

struct cluster_identity {
  std::string id;
  std::string pod_cidr, service_cidr;
};

/// Directories and names that follow from the identity.
struct node_layout {
  std::string data_dir, node_dir, run_dir, cgroup, bridge, containers_dir;
};
node_layout layout_of(const std::string& data_dir, const std::string& node_name, const cluster_identity&);

/// Reads DIR/cluster.json, or chooses and writes it.
result<cluster_identity> open_identity(const std::string& data_dir, const network_config&);
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
/// Networks of the routes in the text of /proc/net/route, without the default route.
std::vector<ipv4_range> routed_ranges(std::string_view proc_net_route);

} // namespace troupe::node
