// check: required fields, closed sets and forms of a whole object, as the schema knows them.
// Owner:  nobody; pure function, safe on any thread.
// Units:  at most check_errors_max errors are reported for one document.
// Errors: returned as field causes; per-kind rules (names, cross-field, immutability) live in api/kinds.
// Source: k8s API level 1.32, sections 6, 8 and 11; `req`, `enum` in data/types.json.
#pragma once

#include "api/json.hpp"
#include "api/schema/registry.hpp"
#include "api/status.hpp"

namespace troupe::schema {

inline constexpr std::size_t check_errors_max = 100;

/// `doc` went through conform() and apply_defaults(). An empty string or list counts as missing where required.
/// The `status` member of a kind is not checked for required fields.
field_errors check_schema(const json::value& doc, const type& t);

} // namespace troupe::schema
