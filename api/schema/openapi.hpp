// openapi: the OpenAPI v2 and v3 documents that clients validate, explain and patch by.
// Owner:  process-wide caches made on first use; safe on any thread.
// Units:  -
// Errors: null for an unknown group version.
// Source: k8s API level 1.32, section 5; written straight from the registry, descriptions in our own words.
#pragma once

#include "api/schema/discovery.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace troupe::schema {

using shared_bytes = std::shared_ptr<const std::string>;

/// `/openapi/v3`: the paths and where to read them.
shared_bytes openapi_v3_index();
/// `/openapi/v3/<path>`, path such as `api/v1`, `apis/apps/v1`; null when there is no such group version.
shared_bytes openapi_v3(std::string_view path);
/// The hash that the index names for every path; changes with the data and the generator.
std::string_view openapi_hash();
/// `/openapi/v2` as Swagger 2.0 JSON, and the same document as protobuf (all that kubectl 1.20 reads).
shared_bytes openapi_v2_json();
shared_bytes openapi_v2_protobuf();

/// The whole answer for a path under /openapi; `query` is the part after `?`, undecoded.
static_reply openapi_reply(std::string_view path, std::string_view query, std::string_view accept,
                           std::string_view if_none_match);

} // namespace troupe::schema
