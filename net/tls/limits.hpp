// limits: named bounds of TLS and tokens.
// Owner:  -
// Units:  stated per name.
// Errors: -
// Source: ours.
#pragma once

#include <chrono>
#include <cstddef>

namespace troupe::limits {

inline constexpr std::chrono::days ca_days{3650};
inline constexpr std::chrono::days leaf_days{365};
/// A leaf with less than this left is renewed at start.
inline constexpr std::chrono::days renew_before_days{90};
/// Certificates are valid from this long before now, for hosts whose clocks differ a little.
inline constexpr std::chrono::minutes clock_skew{5};
inline constexpr std::size_t verified_tokens_max = 4096;
inline constexpr std::size_t token_bytes_max = 16 * 1024;

} // namespace troupe::limits
