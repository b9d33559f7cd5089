// limits: named bounds of the sessions between nodes.
// Owner:  -
// Units:  stated per name.
// Errors: -
// Source: ours.
#pragma once

#include <chrono>
#include <cstddef>

namespace troupe::limits {

/// From accept to the end of the hello; whoever is slower is closed.
inline constexpr std::chrono::milliseconds session_setup{3000};
/// A refused peer is given this long to read why before it is closed.
inline constexpr std::chrono::milliseconds parting{500};
/// Connections that have not finished handshake and hello; beyond, the oldest of them is closed.
inline constexpr std::size_t sessions_half_open_max = 128;
/// An answered connection request. One that the network lost is repeated by the kernel after 1, 3 and 7 s: dialing anew is
/// quicker once the network is whole again.
inline constexpr std::chrono::milliseconds connect_patience{700};
/// The first frame of a session and its answer.
inline constexpr std::size_t hello_bytes_max = 4096;
inline constexpr int listen_backlog = 256;
/// The kernel gives a silent peer up after about idle + probes * every; what watches a link is quicker.
inline constexpr int keepalive_idle_s = 15, keepalive_every_s = 5, keepalive_probes = 3;

} // namespace troupe::limits
