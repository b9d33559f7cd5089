// defaulting_kinds: the conditional defaults, one function per type name.
// Owner:  nobody; a constant table.
// Units:  -
// Errors: none; a hook leaves alone what has an unexpected shape.
// Source: k8s API level 1.32, section 10, and `defaultIf` in data/types.json.
//
// To add one: write the function, add its line to the table in defaulting_kinds.cpp.
#pragma once

#include "api/json.hpp"

#include <span>
#include <string_view>

namespace troupe::schema {

using defaulting_hook = void (*)(json::object&);

struct conditional_defaults {
  std::string_view type;            // OpenAPI definition name
  defaulting_hook before = nullptr; // sees what the client left out, before static defaults
  defaulting_hook after = nullptr;  // sees the static defaults of this struct, not yet those of its children
};

std::span<const conditional_defaults> conditional_defaults_table() noexcept;

} // namespace troupe::schema
