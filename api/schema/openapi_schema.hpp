// openapi_schema: one type of the registry as an OpenAPI schema.
// Owner:  the builder of one document.
// Units:  -
// Errors: -
// Source: k8s API level 1.32, section 5; OpenAPI 2.0 and 3.0.
#pragma once

#include "api/schema/registry.hpp"
#include "api/schema/text_writer.hpp"

#include <string_view>
#include <vector>

namespace troupe::schema {

enum class openapi_level : unsigned char { v2, v3 };

/// Writes the schema object of `t`. Option types of every group are shown as of `group` and `version`.
void write_schema(text_writer& w, const type& t, openapi_level level, std::string_view group, std::string_view version);

/// The type and all it refers to, each once, sorted by name.
std::vector<const type*> reachable(const std::vector<const type*>& roots);

/// `"x-kubernetes-group-version-kind": {...}` of an operation.
void write_gvk(text_writer& w, std::string_view group, std::string_view version, std::string_view kind);

} // namespace troupe::schema
