// scalars: times, durations and base64 as the API writes them.
// Owner:  nobody; pure functions.
// Units:  seconds since 1970 and nanoseconds; durations in nanoseconds.
// Errors: false, nullopt or an offset; the walkers make texts of them.
// Source: k8s API level 1.32, section 8; RFC 3339, RFC 4648; Go's time.ParseDuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::schema {

struct instant {
  std::int64_t seconds = 0;
  std::int32_t nanos = 0;
};

/// RFC 3339 with any offset and fraction.
std::optional<instant> parse_time(std::string_view text) noexcept;
/// `2006-01-02T15:04:05Z`; years outside 0..9999 give an empty string.
std::string format_time(const instant& t);
/// `2006-01-02T15:04:05.000000Z`.
std::string format_microtime(const instant& t);
/// True for text that format_time would return unchanged, without allocating.
bool is_canonical_time(std::string_view text) noexcept;

/// The shortest text that reads back as the same number, without an exponent where people write none (`0.5`, `1e+21`).
std::string format_number(double d);

/// `1m30s`, `10.5s`, `-2h`.
std::optional<std::int64_t> parse_duration(std::string_view text) noexcept;
std::string format_duration(std::int64_t nanoseconds);

/// Offset of the first byte that is not standard padded base64, or npos; line breaks are allowed.
std::size_t base64_fault(std::string_view text) noexcept;
std::string base64_encode(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);

} // namespace troupe::schema
