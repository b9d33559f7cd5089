// node_network: several nodes on one machine: a network namespace per node, wired to one bridge of the host.
// Owner:  `troupe up` makes it, `troupe down --purge` removes it, under the lock of the data dir; calls block for
//         milliseconds.
// Units:  IPv4; the range is a /24, its first address is the host's.
// Errors: status naming the missing privilege or kernel feature.
// Source: ip-netns(8): a namespace lives as a bind mount below /run/netns, so that `ip netns exec` works on it too.
#pragma once

#include "api/status.hpp"

#include <string>
#include <string_view>

namespace troupe::net {

struct node_network_config {
  std::string cluster_id; // six hex digits: in the name of everything that is made
  std::string cidr;       // 10.200.0.0/24
  int mtu = 1500;
};

/// `troupe-<id>n`, the bridge on the host.
std::string node_bridge_name(std::string_view cluster_id);
/// `troupe-<id>-<node>`; a long node name is cut and told apart by a hash.
std::string node_namespace_name(std::string_view cluster_id, std::string_view node);
/// /run/netns/<namespace>.
std::string node_namespace_path(std::string_view cluster_id, std::string_view node);

/// Bridge, the host's address on it, forwarding and masquerade to the outside; idempotent.
result<void> make_node_bridge(const node_network_config&);
/// The namespace of a node, its eth0 with `address` and a default route over the host; idempotent.
result<void> make_node_namespace(const node_network_config&, const std::string& node, const std::string& address);
/// Moves the calling process there. Call before any thread is started.
result<void> enter_node_namespace(std::string_view cluster_id, std::string_view node);
/// Removes every namespace, wire and rule of the cluster, and the bridge. Absence is success.
result<void> remove_node_network(const node_network_config&);

} // namespace troupe::net
