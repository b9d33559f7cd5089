#include "api/schema/openapi_wire.hpp"

#include "api/codec/wire_writer.hpp"
#include "api/json.hpp"

namespace troupe::schema {

namespace {

using codec::wire_writer;

std::string_view text_of(const json::object& o, std::string_view key) {
  const auto* v = o.if_contains(json::string_view{key.data(), key.size()});
  const auto* s = v ? v->if_string() : nullptr;
  return s ? jq::view(*s) : std::string_view{};
}

const json::object* object_of(const json::object& o, std::string_view key) {
  const auto* v = o.if_contains(json::string_view{key.data(), key.size()});
  return v ? v->if_object() : nullptr;
}

const json::array* array_of(const json::object& o, std::string_view key) {
  const auto* v = o.if_contains(json::string_view{key.data(), key.size()});
  return v ? v->if_array() : nullptr;
}

/// Any {2 yaml}
wire_writer any(const json::value& v) {
  wire_writer w;
  w.bytes(2, json::serialize(v) + "\n");
  return w;
}

/// NamedX {1 name, 2 value}
wire_writer named(std::string_view name, const wire_writer& value) {
  wire_writer w;
  w.bytes(1, name).message(2, value);
  return w;
}

void extensions(wire_writer& w, std::uint32_t number, const json::object& o) {
  for (const auto& kv : o)
    if (jq::view(kv.key()).starts_with("x-")) w.message(number, named(jq::view(kv.key()), any(kv.value())));
}

wire_writer schema(const json::object& o);

void nested_schemas(wire_writer& w, const json::object& o) {
  if (const auto* more = object_of(o, "additionalProperties")) {
    wire_writer item;
    w.message(21, item.message(1, schema(*more)));
  }
  if (const auto type = text_of(o, "type"); !type.empty()) {
    wire_writer item;
    w.message(22, item.bytes(1, type));
  }
  if (const auto* items = object_of(o, "items")) {
    wire_writer item;
    w.message(23, item.message(1, schema(*items)));
  }
  if (const auto* properties = object_of(o, "properties")) {
    wire_writer list;
    for (const auto& kv : *properties)
      if (const auto* p = kv.value().if_object()) list.message(1, named(jq::view(kv.key()), schema(*p)));
    w.message(25, list);
  }
}

wire_writer schema(const json::object& o) {
  wire_writer w;
  w.text(1, text_of(o, "$ref")).text(2, text_of(o, "format")).text(4, text_of(o, "description"));
  if (const auto* v = o.if_contains("default")) w.message(5, any(*v));
  if (const auto* required = array_of(o, "required"))
    for (const auto& r : *required)
      w.bytes(19, jq::view(r.as_string()));
  if (const auto* values = array_of(o, "enum"))
    for (const auto& v : *values)
      w.message(20, any(v));
  nested_schemas(w, o);
  extensions(w, 31, o);
  return w;
}

/// ParametersItem {1 Parameter {1 BodyParameter | 2 NonBodyParameter {3 query | 4 path}}}
wire_writer parameter(const json::object& o) {
  wire_writer inner;
  wire_writer choice;
  wire_writer item;
  const auto in = text_of(o, "in");
  const auto* required = o.if_contains("required");
  const bool must = required && required->is_bool() && required->get_bool();
  if (in == "body") {
    inner.text(1, text_of(o, "description")).text(2, text_of(o, "name")).text(3, in);
    if (must) inner.varint(4, 1);
    if (const auto* s = object_of(o, "schema")) inner.message(5, schema(*s));
    choice.message(1, inner);
  } else {
    const bool query = in == "query";
    if (must) inner.varint(1, 1);
    inner.text(2, in).text(3, text_of(o, "description")).text(4, text_of(o, "name"));
    inner.text(query ? 6 : 5, text_of(o, "type"));
    wire_writer non_body;
    choice.message(2, non_body.message(query ? 3 : 4, inner));
  }
  return item.message(1, choice);
}

void parameters(wire_writer& w, std::uint32_t number, const json::object& o) {
  if (const auto* list = array_of(o, "parameters"))
    for (const auto& p : *list)
      if (const auto* po = p.if_object()) w.message(number, parameter(*po));
}

wire_writer responses(const json::object& o) {
  wire_writer w;
  for (const auto& kv : o) {
    const auto* r = kv.value().if_object();
    if (!r) continue;
    wire_writer response;
    response.text(1, text_of(*r, "description"));
    if (const auto* s = object_of(*r, "schema")) {
      wire_writer item;
      response.message(2, item.message(1, schema(*s)));
    }
    wire_writer value;
    w.message(1, named(jq::view(kv.key()), value.message(1, response)));
  }
  return w;
}

wire_writer operation(const json::object& o) {
  wire_writer w;
  w.text(3, text_of(o, "description")).text(5, text_of(o, "operationId"));
  if (const auto* list = array_of(o, "produces"))
    for (const auto& v : *list)
      w.bytes(6, jq::view(v.as_string()));
  if (const auto* list = array_of(o, "consumes"))
    for (const auto& v : *list)
      w.bytes(7, jq::view(v.as_string()));
  parameters(w, 8, o);
  if (const auto* r = object_of(o, "responses")) w.message(9, responses(*r));
  extensions(w, 13, o);
  return w;
}

wire_writer path_item(const json::object& o) {
  static constexpr std::pair<std::string_view, std::uint32_t> methods[] = {
      {"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"patch", 8}};
  wire_writer w;
  for (const auto& [name, number] : methods)
    if (const auto* op = object_of(o, name)) w.message(number, operation(*op));
  parameters(w, 9, o);
  return w;
}

} // namespace

std::string swagger_to_protobuf(std::string_view text) {
  json::monotonic_resource arena(4u << 20);
  boost::system::error_code ec;
  const auto doc = json::parse(json::string_view{text.data(), text.size()}, ec, &arena);
  const auto* root = ec ? nullptr : doc.if_object();
  if (!root) return {};
  wire_writer w;
  w.text(1, text_of(*root, "swagger"));
  if (const auto* info = object_of(*root, "info")) {
    wire_writer i;
    w.message(2, i.text(1, text_of(*info, "title")).text(2, text_of(*info, "version")));
  }
  if (const auto* paths = object_of(*root, "paths")) {
    wire_writer list;
    for (const auto& kv : *paths)
      if (const auto* p = kv.value().if_object()) list.message(2, named(jq::view(kv.key()), path_item(*p)));
    w.message(8, list);
  }
  if (const auto* definitions = object_of(*root, "definitions")) {
    wire_writer list;
    for (const auto& kv : *definitions)
      if (const auto* s = kv.value().if_object()) list.message(1, named(jq::view(kv.key()), schema(*s)));
    w.message(9, list);
  }
  return w.str();
}

} // namespace troupe::schema
