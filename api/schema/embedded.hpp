// embedded: the API data files as text inside the binary, written by embed.py at build time.
// Owner:  nobody; constants.
// Units:  bytes of compact JSON.
// Errors: -
// Source: api/schema/data/*.json.
#pragma once

#include <string_view>

namespace troupe::schema::embedded {

extern const std::string_view types;
extern const std::string_view resources;
extern const std::string_view printers;
extern const std::string_view rbac;

} // namespace troupe::schema::embedded
