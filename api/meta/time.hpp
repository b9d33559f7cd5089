// time: the text forms of instants and durations that API objects and kubectl use.
// Owner:  nobody; pure functions, no clock is read.
// Units:  instants are UTC; sys_micros is microseconds since the epoch.
// Errors: nullopt or errors::bad_request on malformed text.
// Source: k8s API section 8; printers data, rule "duration"; Go time.Duration.
#pragma once

#include "api/status.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

using sys_micros = std::chrono::sys_time<std::chrono::microseconds>;
using sys_nanos = std::chrono::sys_time<std::chrono::nanoseconds>;

/// RFC 3339 with any zone and any fraction (cut to microseconds).
std::optional<sys_micros> parse_time(std::string_view text) noexcept;
/// `2006-01-02T15:04:05Z`
std::string format_time(std::chrono::sys_seconds t);
inline std::string format_time(sys_micros t) { return format_time(std::chrono::floor<std::chrono::seconds>(t)); }
/// `2006-01-02T15:04:05.000000Z`
std::string format_micro_time(sys_micros t);
/// RFC 3339 with nine digits: prefix of log lines.
std::string format_nano_time(sys_nanos t);

/// Go form: `1h2m3.5s`, `300ms`, `1.5h`, `-2s`, `0`.
result<std::chrono::nanoseconds> parse_go_duration(std::string_view text);
std::string format_go_duration(std::chrono::nanoseconds d);

/// `5s`, `3m12s`, `4h`, `2d3h`, `1y40d`: as kubectl prints ages.
std::string human_duration(std::chrono::seconds d);
/// `<unknown>` for an absent or unparsable instant.
std::string human_age(std::string_view instant, sys_micros now);

} // namespace troupe
