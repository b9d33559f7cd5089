// limits: named bounds of the HTTP front and what happens beyond them.
// Owner:  -
// Units:  stated per name.
// Errors: -
// Source: ours; body limit from the Kubernetes API (3 MiB, 413).
#pragma once

#include <chrono>
#include <cstddef>

namespace troupe::limits {

/// Larger request headers: 431 and close.
inline constexpr std::size_t header_bytes_max = 64 * 1024;
/// Larger request bodies: 413 and close.
inline constexpr std::size_t body_bytes_max = 3145728;
/// A TLS handshake that takes longer is cut.
inline constexpr std::chrono::seconds handshake_timeout{10};
/// The time from the first byte of a request to its last; then 408 and close.
inline constexpr std::chrono::seconds request_timeout{30};
/// An idle keep-alive connection is closed after this.
inline constexpr std::chrono::seconds idle_timeout{180};
/// A peer that takes no byte of an answer for this long is cut.
inline constexpr std::chrono::seconds write_timeout{60};
/// After a refusal the rest of the request is read and thrown away, so that a client that is still sending sees the
/// answer instead of a broken connection: at most this much, this long in all, and this long without a byte.
inline constexpr std::size_t linger_bytes_max = 16 * 1024 * 1024;
inline constexpr std::chrono::seconds linger_timeout{10};
inline constexpr std::chrono::seconds linger_idle_timeout{2};
/// More connections at once: 503 with Retry-After and close.
inline constexpr std::size_t connections_max = 20000;
/// Answers from this size on are compressed when the client asks for gzip.
inline constexpr std::size_t gzip_bytes_min = 128 * 1024;
/// A stream with more unsent bytes than this reports itself full until it has drained.
inline constexpr std::size_t stream_buffer_bytes_max = 256 * 1024;
/// One WebSocket message.
inline constexpr std::size_t ws_message_bytes_max = 4 * 1024 * 1024;

} // namespace troupe::limits
