// whole_path: what happens to the bytes of a request body before anything is stored.
// Owner:  fuzz targets and the smoke test that feeds them broken bodies.
// Units:  -
// Errors: a crash or a sanitizer report is the finding; every answer is fine.
// Source: ours.
#pragma once

#include "api/codec/json_decode.hpp"
#include "api/schema/check.hpp"
#include "api/schema/conform.hpp"
#include "api/schema/defaulting.hpp"

#include <string_view>

namespace troupe::test {

/// The type that a document names by apiVersion and kind, or null.
inline const schema::type* type_of(const json::value& doc) {
  const auto version = jq::str(doc, {"apiVersion"});
  const auto slash = version.find('/');
  const bool core = slash == version.npos;
  return schema::registry::get().find_kind(core ? std::string_view{} : version.substr(0, slash),
                                           core ? version : version.substr(slash + 1), jq::str(doc, {"kind"}));
}

/// Decodes, conforms, defaults, checks and prints; true when the body was accepted all the way.
inline bool whole_path(std::string_view bytes, std::string_view content_type) {
  static const auto* pod = schema::registry::get().find_kind("", "v1", "Pod");
  auto d = codec::decode_body(bytes, content_type, pod);
  if (!d) return false;
  const auto* t = type_of(d->doc);
  if (!schema::conform(d->doc, t ? *t : *pod, schema::field_validation::warn, d->duplicate_fields)) return false;
  schema::apply_defaults(d->doc, t ? *t : *pod);
  const bool fine = schema::check_schema(d->doc, t ? *t : *pod).empty();
  return !json::serialize(d->doc).empty() && fine;
}

} // namespace troupe::test
