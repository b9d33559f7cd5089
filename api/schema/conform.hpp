// conform: makes a decoded document look as if it had gone through the Go types of a real server.
// Owner:  nobody; pure functions, safe on any thread.
// Units:  -
// Errors: 400 BadRequest for a value of the wrong type, and under Strict for unknown and duplicate fields.
// Source: k8s API level 1.32, sections 8 and 17; encoding/json for the texts.
//
// Example (Deployment): {"spec":{"replicas":2,"paused":false,"colour":"red"}} becomes
// {"metadata":{"creationTimestamp":null},"spec":{"replicas":2,"selector":null,"template":{...}},"status":{}}
// with the text `unknown field "spec.colour"`.
#pragma once

#include "api/json.hpp"
#include "api/schema/registry.hpp"
#include "api/status.hpp"

#include <span>
#include <string>
#include <vector>

namespace troupe::schema {

enum class field_validation : unsigned char { ignore, warn, strict };

/// The value of query parameter fieldValidation; empty means Warn, anything else than the three words is 422.
result<field_validation> parse_field_validation(std::string_view word);

/// Walks `doc` by the schema, in place: drops null members, unknown fields, fields whose gate is off, and zero values
/// of fields that are not pointers; adds fields that are printed even when zero; writes quantities in canonical form;
/// puts keys in the order of the schema. Returns the Warning texts (empty under Ignore). `duplicates` are the
/// decoder's.
result<std::vector<std::string>> conform(json::value& doc, const type& t, field_validation mode,
                                         std::span<const std::string> duplicates = {});

/// `strict decoding error: unknown field "spec.foo", duplicate field "spec.bar"`, for patches that wrap it themselves.
std::string strict_text(std::span<const std::string> texts);

/// Puts the keys of every struct in the order of the schema; for documents that were changed after conform().
void reorder(json::value& doc, const type& t);

} // namespace troupe::schema
