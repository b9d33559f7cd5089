// limits: named bounds of the DNS server.
// Owner:  -
// Units:  stated per name.
// Errors: over a bound: queries for other names get SERVFAIL, connections are closed.
// Source: ours.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace troupe::net::limits {

/// Seconds a resolver may keep a cluster name, and the absence of one.
inline constexpr std::uint32_t dns_ttl_s = 5;
/// Queries that wait for an upstream at one time.
inline constexpr std::size_t dns_forwards_max = 1024;
/// One upstream gets this long; then the next is asked.
inline constexpr std::chrono::milliseconds dns_upstream_timeout{2000};
/// Upstreams one query tries.
inline constexpr std::size_t dns_upstreams_max = 3;
inline constexpr std::size_t dns_tcp_connections_max = 128;
inline constexpr std::chrono::seconds dns_tcp_idle{10};
/// Largest answer over UDP, whatever the client announces: fits every path without fragments.
inline constexpr std::size_t dns_udp_bytes_max = 1232;
inline constexpr std::size_t dns_message_bytes_max = 65535;
/// Records in one answer; a headless Service with more endpoints is answered with so many of them.
inline constexpr std::size_t dns_records_max = 1000;
/// How often the host's resolv.conf is looked at, at most.
inline constexpr std::chrono::seconds resolv_conf_check{5};

} // namespace troupe::net::limits
