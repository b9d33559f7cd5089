#include "api/codec/wire_writer.hpp"
#include "tests/fuzz/whole_path.hpp"
#include "tests/unit/api_codec/golden.hpp"
#include "tests/unit/api_codec/protobuf_encode.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace troupe;
using codec::wire_writer;
using schema::form;
using schema::shape;

namespace {

constexpr std::string_view protobuf = "application/vnd.kubernetes.protobuf";

json::object sample(const schema::type& t, int depth);

json::value sample_value(const schema::field& f, int depth) {
  switch (f.what) {
  case form::string: return "text";
  case form::boolean: return true;
  case form::int32: return -7;
  case form::int64: return std::int64_t{1} << 40;
  case form::number: return 1.5;
  case form::bytes: return "aGk=";
  case form::quantity: return "1500m";
  case form::int_or_string: return f.name.size() % 2 == 0 ? json::value("25%") : json::value(3);
  case form::time: return "2024-01-02T03:04:05Z";
  case form::microtime: return "2024-01-02T03:04:05.000006Z";
  case form::duration: return "1m30s";
  case form::structure: return sample(*f.ref, depth - 1);
  case form::schema_or_array: return json::array{json::object{{"type", "string"}}};
  case form::schema_or_bool: return false;
  case form::schema_or_strings: return json::array{"a", "b"};
  default: return json::object{{"k", json::array{1, nullptr}}};
  }
}

json::object sample(const schema::type& t, int depth) {
  json::object o;
  for (const auto& f : t.fields) {
    if (f.gated_off || f.pb == 0 || (depth == 0 && f.what == form::structure)) continue;
    auto v = sample_value(f, depth);
    if (f.how == shape::list)
      o[f.name] = json::array{v, v};
    else if (f.how == shape::map && f.map_of_lists)
      o[f.name] = json::object{{"key", json::array{v, v}}};
    else if (f.how == shape::map)
      o[f.name] = json::object{{"key", v}, {"", v}};
    else
      o[f.name] = std::move(v);
  }
  return o;
}

/// An object of the kind with every field set, as conform() leaves it.
json::value sample_of_kind(const schema::type& t, int depth) {
  const auto& k = t.kinds.front();
  auto o = sample(t, depth);
  o["kind"] = k.kind;
  o["apiVersion"] = k.group.empty() ? k.version : k.group + "/" + k.version;
  json::value doc = std::move(o);
  const auto done = schema::conform(doc, t, schema::field_validation::strict);
  if (!done) FAIL(done.error().message);
  return doc;
}

std::string round_trip(const json::value& doc, const schema::type& t) {
  auto d = codec::decode_body(test::to_protobuf(doc, t), protobuf, nullptr);
  if (!d) return d.error().message;
  const auto done = schema::conform(d->doc, t, schema::field_validation::strict, d->duplicate_fields);
  return done ? json::serialize(d->doc) : done.error().message;
}

std::string enveloped(const wire_writer& raw, std::string_view version = "v1", std::string_view kind = "Pod") {
  wire_writer meta;
  meta.bytes(1, version).bytes(2, kind);
  wire_writer unknown;
  unknown.message(1, meta).message(2, raw);
  return std::string{"k8s\0", 4} + unknown.str();
}

std::string error_of(std::string_view bytes) {
  const auto d = codec::decode_body(bytes, protobuf, nullptr);
  return d ? std::string{"no error"} : d.error().message;
}

} // namespace

TEST_CASE("every kind with every field set survives the way through protobuf") {
  int kinds = 0;
  for (const auto* t : schema::registry::get().types()) {
    const bool numbered =
        std::any_of(t->fields.begin(), t->fields.end(), [](const schema::field& f) { return f.pb != 0; });
    if (t->kinds.empty() || !numbered) continue;
    INFO(t->name);
    const auto doc = sample_of_kind(*t, 3);
    CHECK(round_trip(doc, *t) == json::serialize(doc));
    ++kinds;
  }
  CHECK(kinds > 100);
}

TEST_CASE("the documents of the golden files survive the way through protobuf") {
  for (const auto& path : test::golden_inputs("defaulting")) {
    INFO(path.string());
    auto d = codec::parse_yaml(test::read_file(path));
    REQUIRE(d.has_value());
    const auto* t = test::type_of(d->doc);
    REQUIRE(schema::conform(d->doc, *t, schema::field_validation::strict).has_value());
    CHECK(round_trip(d->doc, *t) == json::serialize(d->doc));
  }
}

TEST_CASE("a protobuf body says what is wrong with it") {
  CHECK(error_of("{}").find("does not appear to be a protobuf message") != std::string::npos);
  CHECK(error_of(std::string_view{"k8s\0", 4}).find("names no kind") != std::string::npos);
  CHECK(error_of(enveloped({}, "v1", "Nothing")).find("no kind \"Nothing\" is registered for version \"v1\"") !=
        std::string::npos);
  wire_writer wrong;
  wrong.varint(1, 5); // metadata is a message
  CHECK(error_of(enveloped(wrong)).find("malformed value at byte") != std::string::npos);
}

TEST_CASE("a protobuf body without a kind is of the type that was expected") {
  wire_writer meta;
  meta.bytes(1, "a");
  wire_writer pod;
  pod.message(1, meta);
  wire_writer unknown;
  unknown.message(2, pod);
  const auto bytes = std::string{"k8s\0", 4} + unknown.str();
  const auto d = codec::decode_body(bytes, protobuf, schema::registry::get().find_kind("", "v1", "Pod"));
  REQUIRE(d.has_value());
  CHECK(json::serialize(d->doc) == R"({"metadata":{"name":"a"}})");
}

TEST_CASE("hostile lengths and nesting are refused without harm") {
  using namespace std::string_literals;
  const auto raw = [](std::string_view bytes) {
    wire_writer w;
    wire_writer unknown;
    wire_writer meta;
    meta.bytes(1, "v1").bytes(2, "Pod");
    unknown.message(1, meta).bytes(2, bytes);
    return std::string{"k8s\0", 4} + unknown.str();
  };
  CHECK(error_of(raw("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"s)).find("protobuf parse error") == 0); // 2^63 bytes
  CHECK(error_of(raw("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s)).find("protobuf parse error") == 0);
  CHECK(error_of(raw("\x0b\x0a\x00"s)).find("protobuf parse error") == 0); // a group
  CHECK(error_of(raw("\x00\x00"s)).find("protobuf parse error") == 0);     // field number 0
  CHECK(error_of("k8s\0\x12\xff\xff\xff\xff\x0f"s).find("protobuf parse error") == 0);

  // JSONSchemaProps within JSONSchemaProps: properties {1 key, 2 value}, field 36 of the message.
  const auto* props =
      schema::registry::get().find_type("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
  const auto number = static_cast<std::uint32_t>(props->find("not")->pb);
  std::string inner;
  for (int i = 0; i < 400; ++i)
    inner = wire_writer{}.bytes(number, inner).str();
  wire_writer unknown;
  unknown.bytes(2, inner);
  const auto d = codec::decode_body(std::string{"k8s\0", 4} + unknown.str(), protobuf, props);
  REQUIRE_FALSE(d.has_value());
  CHECK(d.error().message.find("nests too deep") != std::string::npos);
}

TEST_CASE("text that is no UTF-8 is mended, numbers without JSON are refused") {
  wire_writer meta;
  meta.bytes(1, "a\xff\xc3\xa9\xe2\x82z");
  wire_writer pod;
  pod.message(1, meta);
  const auto d = codec::decode_body(enveloped(pod), protobuf, nullptr);
  REQUIRE(d.has_value());
  CHECK(jq::str(d->doc, {"metadata", "name"}) == "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbdz");
}

TEST_CASE("fields of a newer level are passed over") {
  wire_writer pod;
  pod.varint(900, 1).bytes(901, "x").fixed64(902, 3);
  CHECK(codec::decode_body(enveloped(pod), protobuf, nullptr).has_value());
}
