// limits: named bounds of proxy and DNS actors.
// Owner:  -
// Units:  stated per name.
// Errors: -
// Source: ours.
#pragma once

#include <chrono>

namespace troupe::limits {

inline constexpr std::chrono::milliseconds proxy_backoff_first{1000};
inline constexpr std::chrono::milliseconds proxy_backoff_max{30000};
/// A load shorter than this needs no rest after it.
inline constexpr std::chrono::milliseconds proxy_rest_min{5};
inline constexpr std::chrono::milliseconds proxy_rest_max{1000};
/// A load of 10,000 Services takes seconds at worst; the worker's answer is waited for so long.
inline constexpr std::chrono::minutes proxy_apply_timeout{5};

} // namespace troupe::limits
