// fixture: documents from text and the way of a write through the object model, for the tests of this folder.
// Owner:  unit tests.
// Units:  -
// Errors: malformed text fails the running case.
// Source: ours.
#pragma once

#include "api/codec/json_decode.hpp"
#include "api/kinds/strategy.hpp"
#include "api/schema/check.hpp"
#include "api/schema/conform.hpp"
#include "api/schema/defaulting.hpp"

#include <doctest/doctest.h>

namespace troupe::test {

inline const sys_micros noon = *parse_time("2026-11-23T12:00:00Z");

inline json::value yaml(std::string_view text) {
  auto d = codec::parse_yaml(text);
  REQUIRE_MESSAGE(d.has_value(), (d ? std::string{} : d.error().message));
  return std::move(d->doc);
}

inline const schema::resource& resource_of(const json::value& doc) {
  const auto version = jq::str(doc, {"apiVersion"});
  const auto slash = version.find('/');
  const bool core = slash == version.npos;
  const auto* r =
      schema::registry::get().find_by_kind(core ? std::string_view{} : version.substr(0, slash),
                                           core ? version : version.substr(slash + 1), jq::str(doc, {"kind"}));
  REQUIRE_MESSAGE(r, version);
  return *r;
}

inline const schema::resource& resource(std::string_view name) {
  const auto* r = schema::registry::get().find_by_name(name);
  REQUIRE_MESSAGE(r, name);
  return *r;
}

/// Decoded form to what a strategy sees: schema order, defaults, a namespace where one is needed.
inline void normalize(json::value& doc) {
  const auto& r = resource_of(doc);
  if (r.namespaced && jq::str(doc, {"metadata", "namespace"}).empty())
    jq::at(doc, {"metadata", "namespace"}) = "default";
  REQUIRE(schema::conform(doc, *r.body, schema::field_validation::ignore).has_value());
  schema::apply_defaults(doc, *r.body);
}

/// The object as a create would store it, without validation.
inline json::value created(json::value doc, std::uint64_t seed = 7) {
  normalize(doc);
  random_source random{seed};
  kinds::write_context ctx;
  ctx.now = noon;
  ctx.random = &random;
  const auto ok = kinds::prepare_create(resource_of(doc), doc, ctx);
  REQUIRE_MESSAGE(ok.has_value(), (ok ? std::string{} : ok.error().message));
  return doc;
}
inline json::value created(const char* text) { return created(yaml(text)); }

inline result<void> update(json::value& doc, const json::value& old, std::string_view subresource = {}) {
  normalize(doc);
  random_source random{9};
  kinds::write_context ctx;
  ctx.now = noon + std::chrono::minutes{1};
  ctx.random = &random;
  return kinds::prepare_update(resource_of(doc), doc, old, subresource, ctx);
}

inline field_errors create_faults(const json::value& doc) {
  const auto& r = resource_of(doc);
  auto e = schema::check_schema(doc, *r.body);
  for (auto& f : kinds::validate_create(r, doc))
    e.push_back(std::move(f));
  return e;
}

inline field_errors update_faults(const json::value& doc, const json::value& old, std::string_view subresource = {}) {
  const auto& r = resource_of(doc);
  auto e = schema::check_schema(doc, *r.body);
  for (auto& f : kinds::validate_update(r, doc, old, subresource))
    e.push_back(std::move(f));
  return e;
}

/// What a client is shown: the message of the Status, or `ok`.
inline std::string message_of(const json::value& doc, field_errors e) {
  if (e.empty()) return "ok";
  const auto& r = resource_of(doc);
  return errors::invalid(r.kind, r.group, jq::str(doc, {"metadata", "name"}), std::move(e)).message;
}

} // namespace troupe::test
