#include "tests/unit/api_codec/protobuf_encode.hpp"

#include "api/codec/wire_writer.hpp"
#include "api/schema/scalars.hpp"
#include "api/schema/walk.hpp"

#include <bit>
#include <set>

namespace troupe::test {

namespace {

using codec::wire_writer;
using schema::field;
using schema::form;
using schema::shape;

void value(wire_writer& w, std::uint32_t number, const json::value& v, const field& f);

wire_writer schema_choice(const json::value& v, form what) {
  wire_writer w;
  const auto props = [](const json::value& o) { return message_bytes(o.as_object(), schema::schema_props()); };
  if (v.is_bool()) return w.varint(1, v.get_bool()), w;
  if (v.is_object()) return w.bytes(what == form::schema_or_bool ? 2 : 1, props(v)), w;
  for (const auto& e : v.as_array())
    w.bytes(2, e.is_string() ? std::string{jq::view(e.get_string())} : props(e));
  return w;
}

wire_writer scalar_message(const json::value& v, form what) {
  wire_writer w;
  switch (what) {
  case form::quantity: w.bytes(1, jq::view(v.as_string())); break;
  case form::int_or_string:
    if (v.is_string())
      w.varint(1, 1).varint(2, 0).bytes(3, jq::view(v.get_string()));
    else
      w.varint(1, 0).varint(2, static_cast<std::uint64_t>(v.as_int64())).bytes(3, "");
    break;
  case form::time:
  case form::microtime: {
    const auto t = schema::parse_time(jq::view(v.as_string()));
    w.varint(1, static_cast<std::uint64_t>(t->seconds)).varint(2, static_cast<std::uint64_t>(t->nanos));
    break;
  }
  case form::duration: w.varint(1, static_cast<std::uint64_t>(*schema::parse_duration(jq::view(v.as_string())))); break;
  case form::json_object:
  case form::any:
  case form::object: w.bytes(1, json::serialize(v)); break;
  default: return schema_choice(v, what);
  }
  return w;
}

wire_writer string_list(const json::value& v) {
  wire_writer w;
  for (const auto& e : v.as_array())
    w.bytes(1, jq::view(e.as_string()));
  return w;
}

void value(wire_writer& w, std::uint32_t number, const json::value& v, const field& f) {
  switch (f.what) {
  case form::string: w.bytes(number, jq::view(v.as_string())); return;
  case form::bytes: w.bytes(number, *schema::base64_decode(jq::view(v.as_string()))); return;
  case form::boolean: w.varint(number, v.as_bool()); return;
  case form::int32:
  case form::int64: w.varint(number, static_cast<std::uint64_t>(v.as_int64())); return;
  case form::number: w.fixed64(number, std::bit_cast<std::uint64_t>(v.to_number<double>())); return;
  case form::structure: w.bytes(number, message_bytes(v.as_object(), *f.ref)); return;
  default: w.message(number, scalar_message(v, f.what)); return;
  }
}

void member(wire_writer& w, const json::value& v, const field& f) {
  const auto number = static_cast<std::uint32_t>(f.pb);
  if (f.how == shape::map) {
    for (const auto& kv : v.as_object()) {
      wire_writer entry;
      entry.bytes(1, jq::view(kv.key()));
      if (f.map_of_lists)
        entry.message(2, string_list(kv.value()));
      else
        value(entry, 2, kv.value(), f);
      w.message(number, entry);
    }
  } else if (f.how == shape::list) {
    if (f.pb_wrap)
      w.message(number, string_list(v));
    else
      for (const auto& e : v.as_array())
        value(w, number, e, f);
  } else {
    value(w, number, v, f);
  }
}

bool under(const field& f, const std::vector<int>& prefix) {
  if (f.pb_inline.size() < prefix.size()) return false;
  for (std::size_t i = 0; i < prefix.size(); ++i)
    if (f.pb_inline[i].second != prefix[i]) return false;
  return true;
}

wire_writer level(const json::object& o, const schema::type& t, const std::vector<int>& prefix) {
  wire_writer w;
  std::set<int> nested;
  for (const auto& f : t.fields) {
    const auto* v = o.if_contains(f.name);
    if (!v || v->is_null() || f.pb == 0 || !under(f, prefix)) continue;
    if (f.pb_inline.size() == prefix.size())
      member(w, *v, f);
    else
      nested.insert(f.pb_inline[prefix.size()].second);
  }
  for (const int n : nested) {
    auto deeper = prefix;
    deeper.push_back(n);
    w.message(static_cast<std::uint32_t>(n), level(o, t, deeper));
  }
  return w;
}

} // namespace

std::string message_bytes(const json::object& o, const schema::type& t) { return level(o, t, {}).str(); }

std::string to_protobuf(const json::value& doc, const schema::type& t) {
  wire_writer meta;
  meta.bytes(1, jq::str(doc, {"apiVersion"})).bytes(2, jq::str(doc, {"kind"}));
  wire_writer unknown;
  unknown.message(1, meta).bytes(2, message_bytes(doc.as_object(), t)).bytes(3, "").bytes(4, "");
  return std::string{"k8s\0", 4} + unknown.str();
}

} // namespace troupe::test
