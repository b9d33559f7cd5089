// json_decode: request bodies (JSON, YAML, Kubernetes protobuf) to one JSON document.
// Owner:  nobody; pure functions, safe on any thread.
// Units:  see limits.hpp; the caller bounds the size in bytes.
// Errors: 400 BadRequest with line and column (text forms) or byte offset (protobuf); 415 for other media types.
// Source: k8s API level 1.32, sections 2 and 3; sigs.k8s.io/yaml for the reading of plain scalars.
#pragma once

#include "api/json.hpp"
#include "api/status.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::schema {
struct type;
}

namespace troupe::codec {

struct decoded {
  json::value doc;
  /// Keys that stood twice in one object, as field paths (`spec.replicas`); the last one won.
  std::vector<std::string> duplicate_fields;
};

enum class media : unsigned char { json, yaml, protobuf, other };
/// The form a Content-Type names; parameters are ignored and an absent type means JSON.
media media_of(std::string_view content_type) noexcept;

/// The one entry point. `expected` names the type of a protobuf body whose envelope carries no kind; may be null.
result<decoded> decode_body(std::string_view bytes, std::string_view content_type, const schema::type* expected);

result<decoded> parse_json(std::string_view text);
/// The first document of the stream; an empty stream is null.
result<decoded> parse_yaml(std::string_view text);
/// Bytes that start with the envelope `k8s\0`.
result<decoded> parse_protobuf(std::string_view bytes, const schema::type* expected);

} // namespace troupe::codec
