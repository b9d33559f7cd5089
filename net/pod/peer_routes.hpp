// peer_routes: routes to the pod networks of the other nodes, over their addresses on a shared network.
// Owner:  one caller at a time; netlink calls of microseconds.
// Units:  -
// Errors: the first route that could not be set, with its network and gateway; the others are still tried.
// Source: host-gw of flannel: no encapsulation where all nodes are neighbours.
#pragma once

#include "api/status.hpp"
#include "net/packet/netlink.hpp"

#include <string>
#include <vector>

namespace troupe::net {

/// What turns `have` into `want`, touching only routes inside `cluster`. Pure.
struct route_changes {
  std::vector<peer_route> set, remove;
};
route_changes plan_routes(const std::vector<peer_route>& have, const std::vector<peer_route>& want,
                          const std::string& cluster_cidr);

/// Makes the kernel's routes of ours inside the cluster's pod range equal to `want`.
result<void> keep_peer_routes(const std::vector<peer_route>& want, const std::string& cluster_cidr);

} // namespace troupe::net
