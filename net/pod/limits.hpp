// limits: named bounds of the pod network.
// Owner:  -
// Units:  stated per name.
// Errors: -
// Source: ours.
#pragma once

#include <cstddef>

namespace troupe::net::limits {

/// Lines the address file may hold beyond twice the number of leases before it is rewritten.
inline constexpr std::size_t journal_slack_lines = 1024;

} // namespace troupe::net::limits
