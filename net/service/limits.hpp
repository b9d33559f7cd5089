// limits: named bounds of the service rules.
// Owner:  -
// Units:  stated per name.
// Errors: -
// Source: ours.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace troupe::net::limits {

/// Above so many single changes a shared iptables chain is written anew: each deletion walks the chain.
inline constexpr std::size_t chain_deltas_max = 200;
/// Clients whose affinity one endpoint remembers.
inline constexpr std::size_t affinity_clients_max = 65536;
/// Packets to be masqueraded carry this bit between the NAT hooks; kube-proxy uses 0x4000.
inline constexpr std::uint32_t masquerade_mark = 0x100000;

/// Requests to the health port.
inline constexpr std::size_t health_request_bytes_max = 8192;
inline constexpr std::chrono::seconds health_time_max{5};

} // namespace troupe::net::limits
