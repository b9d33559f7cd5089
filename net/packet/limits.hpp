// limits: named bounds of the packet room.
// Owner:  -
// Units:  stated per name.
// Errors: -
// Source: ours.
#pragma once

#include <cstddef>

namespace troupe::net::limits {

/// What a child program may print; iptables-save of 100,000 rules is about 20 MiB.
inline constexpr std::size_t child_output_bytes_max = 256u << 20;
/// One netlink message of ours.
inline constexpr std::size_t netlink_message_bytes_max = 8192;

} // namespace troupe::net::limits
