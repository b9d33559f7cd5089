// limits: named bounds of the controllers.
// Owner:  -
// Units:  stated per name.
// Errors: -
// Source: kube-controller-manager defaults unless said otherwise.
#pragma once

#include <chrono>
#include <cstddef>

namespace troupe::limits {

/// Pods one look at a ReplicaSet creates or deletes at most.
inline constexpr std::size_t burst_replicas_max = 500;
/// Endpoints of one EndpointSlice and of one Endpoints object.
inline constexpr std::size_t slice_endpoints_max = 100;
inline constexpr std::size_t endpoints_addresses_max = 1000;
/// Deletions one look at a namespace or an owner asks for; the next look goes on.
inline constexpr std::size_t deletions_per_look_max = 256;
/// Owners remembered as deleted, against views that lag behind the watch.
inline constexpr std::size_t deleted_owners_max = 8192;
/// Write tasks one turn of the manager makes before events get theirs.
inline constexpr std::size_t controller_step_tasks = 128;

} // namespace troupe::limits
