// limits: named bounds of the scheduler.
// Owner:  -
// Units:  stated per name.
// Errors: -
// Source: kube-scheduler defaults.
#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe::limits {

/// Below this many nodes all of them are looked at; above, at least this many feasible ones are found.
inline constexpr std::size_t feasible_nodes_min = 100;
/// Score of the best node for one scoring rule.
inline constexpr std::int64_t node_score_max = 100;
/// What a container without requests counts as when scoring, so that many empty pods still spread.
inline constexpr std::int64_t default_milli_cpu = 100;
inline constexpr std::int64_t default_memory_bytes = 200LL * 1024 * 1024;

} // namespace troupe::limits
