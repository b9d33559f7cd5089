// limits: named bounds of the helpers that all components share.
// Owner:  -
// Units:  stated per name.
// Errors: -
// Source: ours.
#pragma once

#include <chrono>
#include <cstddef>

namespace troupe::limits {

/// Events one drain of a feed delivers before other messages get their turn.
inline constexpr std::size_t feed_batch = 256;
/// How long a component waits for the api actor; afterwards the outcome counts as unknown and is read back.
inline constexpr std::chrono::seconds api_timeout{15};
/// Distinct events an event recorder remembers for counting repeats.
inline constexpr std::size_t recorded_events_max = 4096;
/// Events about one object: this many at once, then one each events_refill.
inline constexpr int events_burst = 25;
inline constexpr std::chrono::seconds events_refill{300};
/// Longer messages are cut; the API refuses more.
inline constexpr std::size_t event_message_bytes_max = 1024;

} // namespace troupe::limits
