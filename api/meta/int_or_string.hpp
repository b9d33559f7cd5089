// int_or_string: a count or a percentage of a base, as maxSurge and targetPort have it.
// Owner:  nobody; pure functions.
// Units:  counts.
// Errors: errors::bad_request when the value is neither a number nor `<digits>%`.
// Source: k8s API section 8; apimachinery intstr.
#pragma once

#include "api/status.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace troupe {

enum class rounding : std::uint8_t { up, down };

/// A number as it is; `25%` of `total`, rounded. Example: 25% of 3 is 1 up and 0 down.
result<std::int64_t> resolve_count(const json::value& v, std::int64_t total, rounding how);
/// The percentage, when the value is one.
std::optional<std::int64_t> percent_of(const json::value& v) noexcept;
/// As printed: `3` or `25%`; empty for other JSON.
std::string int_or_string_text(const json::value& v);

} // namespace troupe
