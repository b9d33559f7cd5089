// masters_watch: follows the directory of masters and tells the mesh and the workers' sessions where the masters are.
// Owner:  the master's part of a node of several; one actor.
// Units:  -
// Errors: while the directory is empty (the first leader has not written it yet), what the config says holds.
// Source: actors/support/member_directory.hpp.
#pragma once

#include "actors/link/cluster_link.hpp"
#include "actors/link/mesh_hello.hpp"
#include "actors/node/cluster_identity.hpp"
#include "actors/support/component.hpp"
#include "actors/support/member_directory.hpp"

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <functional>
#include <string>
#include <vector>

namespace troupe::node {

master_row row_of(const node_config& n, const std::string& address, std::uint64_t member);
/// Rows of the founders that the config names, in order of their ids.
std::vector<master_row> founding_rows(const cluster_config&, const cluster_identity&);
std::vector<mesh_peer> peers_of(const std::vector<master_row>& rows, const std::string& own_name);
std::vector<link::master_address> link_addresses_of(const std::vector<master_row>& rows);

/// Calls `tell` with the rows after each change, and once at the start. Ends with an exit message.
caf::actor spawn_masters_watch_actor(caf::actor_system& sys, component_env env, std::vector<master_row> fallback,
                                     std::function<void(const std::vector<master_row>&)> tell);

} // namespace troupe::node
