// openapi_wire: a Swagger 2.0 document from JSON to the protobuf form that kubectl up to 1.20 insists on.
// Owner:  nobody; pure function.
// Units:  -
// Errors: empty bytes for JSON that is no such document.
// Source: field numbers of gnostic's OpenAPIv2.proto; extensions travel as YAML text, and JSON is YAML.
#pragma once

#include <string>
#include <string_view>

namespace troupe::schema {

std::string swagger_to_protobuf(std::string_view swagger_json);

} // namespace troupe::schema
