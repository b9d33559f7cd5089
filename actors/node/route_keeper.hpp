// route_keeper: keeps this node's routes to the pods of the other nodes equal to the Nodes of the cluster.
// Owner:  the node's supervisor, on workers of a cluster that can grow.
// Units:  -
// Errors: a route the kernel refuses is logged and tried again; Nodes without address or range have none.
// Source: ours; net/pod/peer_routes.hpp.
#pragma once

#include "actors/support/component.hpp"
#include "net/packet/netlink.hpp"
#include "store/view.hpp"

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <string>
#include <vector>

namespace troupe::node {

/// The routes that Node `self` needs. Pure. `neighbours`: the network whose machines it reaches directly; others, such
/// as a lone founder on the host of a node in a namespace, are behind its default route. Empty: all are neighbours.
std::vector<net::peer_route> wanted_routes(const store::view& now, const std::string& self,
                                           const std::string& neighbours);

/// Ends with an exit message; the routes stay, so that pods go on while the process restarts.
caf::actor spawn_route_keeper(caf::actor_system& sys, component_env env, std::string cluster_cidr,
                              std::string neighbours);

} // namespace troupe::node
