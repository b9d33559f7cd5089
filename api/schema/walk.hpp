// walk: where a walker stands in a document, kept on the stack and turned into text only when it is needed.
// Owner:  the walker; a crumb lives as long as its stack frame.
// Units:  -
// Errors: -
// Source: field paths as kube-apiserver prints them: `spec.containers[0].image`, map keys in brackets or after a dot.
#pragma once

#include "api/schema/registry.hpp"

#include <string>
#include <string_view>

namespace troupe::schema {

struct crumb {
  const crumb* up = nullptr;
  std::string_view key; // of a field or map entry; empty with an index
  int index = -1;
  bool map_key = false;
};

/// `spec.containers[0].image`; map keys after a dot, or in brackets when `brackets` is set.
std::string path_text(const crumb* at, bool brackets = false);

/// The member names only, as Go's decoder counts them: `spec.containers.image`.
std::string go_path_text(const crumb* at);

/// Puts the members of a struct in the order of its type; members the type does not know go last.
/// `extra` fields (bits of a mask) that are absent are added with their zero value.
void arrange(json::object& o, const type& t, std::uint64_t extra);
/// The value a field has when nobody set it and it is printed all the same.
json::value zero_value(const field& f, const json::storage_ptr& sp);
/// The type of the schema inside JSONSchemaProps-or-something scalars.
const type& schema_props();

} // namespace troupe::schema
