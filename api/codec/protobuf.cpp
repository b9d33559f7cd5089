#include "api/codec/json_decode.hpp"
#include "api/codec/limits.hpp"
#include "api/codec/wire_reader.hpp"
#include "api/schema/registry.hpp"
#include "api/schema/scalars.hpp"
#include "api/schema/walk.hpp"

#include <bit>
#include <vector>

namespace troupe::codec {

namespace {

using schema::field;
using schema::form;
using schema::shape;

constexpr std::string_view magic{"k8s\0", 4};

json::value text_value(std::string_view s) { return json::value(json::string_view{s.data(), s.size()}); }

/// Bytes of the UTF-8 sequence at the start of `s`, 0 when it is malformed.
std::size_t utf8_length(std::string_view s) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const auto tail = [&](std::size_t i) { return i < s.size() && (byte(i) & 0xc0) == 0x80; };
  const auto b = byte(0);
  if (b < 0x80) return 1;
  if (b >= 0xc2 && b <= 0xdf) return tail(1) ? 2 : 0;
  if (b >= 0xe0 && b <= 0xef) {
    if (!tail(1) || !tail(2) || (b == 0xe0 && byte(1) < 0xa0) || (b == 0xed && byte(1) > 0x9f)) return 0;
    return 3;
  }
  if (b >= 0xf0 && b <= 0xf4) {
    if (!tail(1) || !tail(2) || !tail(3) || (b == 0xf0 && byte(1) < 0x90) || (b == 0xf4 && byte(1) > 0x8f)) return 0;
    return 4;
  }
  return 0;
}

/// JSON holds Unicode only: malformed bytes become U+FFFD, as Go prints them.
json::value sane_text(std::string_view s) {
  std::size_t i = 0;
  while (i < s.size()) {
    const auto n = utf8_length(s.substr(i));
    if (n == 0) break;
    i += n;
  }
  if (i == s.size()) return text_value(s);
  std::string out{s.substr(0, i)};
  while (i < s.size()) {
    const auto n = utf8_length(s.substr(i));
    if (n == 0) {
      out += "\xef\xbf\xbd";
      ++i;
    } else {
      out.append(s.substr(i, n));
      i += n;
    }
  }
  return text_value(out);
}

class message_decoder {
public:
  explicit message_decoder(std::string_view all) : start_(all.data()) {}

  /// Reads the envelope and its object into `doc`.
  bool envelope(std::string_view bytes, const schema::type* expected, json::value& doc);
  status fault() const { return errors::bad_request("protobuf parse error: " + why_); }

private:
  struct step; // where inside an inline chain
  bool message(std::string_view bytes, const schema::type& t, const step* inlined, json::object& out);
  bool one_field(wire_reader& in, std::uint32_t number, wire type, const schema::type& t, const step* inlined,
                 json::object& out);
  bool add(wire_reader& in, wire type, const field& f, json::object& out);
  bool add_packed(std::string_view bytes, const field& f, json::array& out);
  bool map_entry(std::string_view bytes, const field& f, json::object& out);
  bool string_list(std::string_view bytes, json::array& out);
  bool element(wire_reader& in, wire type, const field& f, json::value& out);
  bool number(wire_reader& in, wire type, const field& f, json::value& out);
  bool body(std::string_view bytes, const field& f, json::value& out);
  bool quantity(std::string_view bytes, json::value& out);
  bool time(std::string_view bytes, bool micro, json::value& out);
  bool duration(std::string_view bytes, json::value& out);
  bool int_or_string(std::string_view bytes, json::value& out);
  bool raw(std::string_view bytes, json::value& out);
  bool schema_choice(std::string_view bytes, form what, json::value& out);

  /// Calls `take(number, type, reader)` for each field; it answers whether it went well.
  template <class F>
  bool fields(std::string_view bytes, F&& take) {
    if (++depth_ > limits::depth_max) return broken("the message nests too deep", bytes.data());
    wire_reader in(bytes);
    while (!in.done()) {
      std::uint32_t number = 0;
      wire type{};
      if (!in.tag(number, type)) return broken("malformed field", in.position());
      if (!take(number, type, in)) return why_.empty() ? broken("malformed value", in.position()) : false;
    }
    --depth_;
    return true;
  }
  bool count() {
    if (++values_ <= limits::protobuf_values_max) return true;
    why_ = "the message holds too many values";
    return false;
  }
  bool broken(std::string_view what, const char* at) {
    if (why_.empty()) {
      why_ = what;

      why_ += " at byte " + std::to_string(at - start_);
    }
    return false;
  }

  const char* start_;
  std::size_t depth_ = 0;
  std::size_t values_ = 0;
  std::string why_;
};

struct message_decoder::step {
  const step* up;
  int number;
  std::size_t length() const noexcept { return up ? up->length() + 1 : 1; }
  /// Whether the first length() numbers of the field's chain lead here.
  bool leads_to(const field& f) const noexcept {
    const auto n = length();
    if (f.pb_inline.size() < n) return false;
    const step* s = this;
    for (auto i = n; i > 0; --i, s = s->up)
      if (f.pb_inline[i - 1].second != s->number) return false;
    return true;
  }
};

bool message_decoder::envelope(std::string_view bytes, const schema::type* expected, json::value& doc) {
  if (!bytes.starts_with(magic)) {
    why_ = "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
    return false;
  }
  std::string_view api_version, kind, raw_bytes, content_type;
  const auto type_meta = [&](std::uint32_t n, wire w, wire_reader& in) {
    if (w != wire::bytes || n > 2) return in.skip(w);
    return in.bytes(n == 1 ? api_version : kind);
  };
  const auto top = [&](std::uint32_t n, wire w, wire_reader& in) {
    std::string_view view;
    if (w != wire::bytes || (n != 1 && n != 2 && n != 4)) return in.skip(w);
    if (!in.bytes(view)) return false;
    if (n == 2) raw_bytes = view;
    if (n == 4) content_type = view;
    return n != 1 || fields(view, type_meta);
  };
  if (!fields(bytes.substr(magic.size()), top)) return false;
  if (media_of(content_type) == media::json && !content_type.empty()) {
    auto inner = parse_json(raw_bytes);
    if (!inner) return broken(inner.error().message, bytes.data());
    doc = std::move(inner->doc);
    return true;
  }
  const schema::type* t = expected;
  if (!kind.empty()) {
    const auto slash = api_version.find('/');
    const auto group = slash == api_version.npos ? std::string_view{} : api_version.substr(0, slash);
    const auto version = slash == api_version.npos ? api_version : api_version.substr(slash + 1);
    t = schema::registry::get().find_kind(group, version, kind);
    if (!t) {
      why_ = "no kind " + json::serialize(sane_text(kind)) + " is registered for version " +
             json::serialize(sane_text(api_version));
      return false;
    }
  }
  if (!t) {
    why_ = "the envelope names no kind";
    return false;
  }
  auto& out = doc.emplace_object();
  if (!kind.empty()) out["kind"] = text_value(kind);
  if (!api_version.empty()) out["apiVersion"] = text_value(api_version);
  return message(raw_bytes, *t, nullptr, out);
}

bool message_decoder::message(std::string_view bytes, const schema::type& t, const step* inlined, json::object& out) {
  return fields(bytes, [&](std::uint32_t number, wire type, wire_reader& in) {
    return count() && one_field(in, number, type, t, inlined, out);
  });
}

bool message_decoder::one_field(wire_reader& in, std::uint32_t number, wire type, const schema::type& t,
                                const step* inlined, json::object& out) {
  const auto n = static_cast<int>(number);
  const auto depth = inlined ? inlined->length() : 0;
  const step next{inlined, n};
  for (const auto& f : t.fields) {
    if (inlined && !inlined->leads_to(f)) continue;
    if (f.pb_inline.size() == depth && f.pb == n) return add(in, type, f, out);
    if (f.pb_inline.size() > depth && next.leads_to(f)) {
      std::string_view inner;
      return type == wire::bytes && in.bytes(inner) && message(inner, t, &next, out);
    }
  }
  return in.skip(type); // fields of a newer level
}

bool message_decoder::add(wire_reader& in, wire type, const field& f, json::object& out) {
  std::string_view inner;
  if (f.how == shape::single) {
    auto& v = out[f.name];
    if (f.what != form::structure) return element(in, type, f, v);
    // Two occurrences of one message are one message in two parts.
    if (type != wire::bytes || !in.bytes(inner)) return false;
    return message(inner, *f.ref, nullptr, v.is_object() ? v.get_object() : v.emplace_object());
  }
  auto& v = out[f.name];
  if (f.how == shape::map) {
    auto& entries = v.is_object() ? v.get_object() : v.emplace_object();
    return type == wire::bytes && in.bytes(inner) && map_entry(inner, f, entries);
  }
  auto& list = v.is_array() ? v.get_array() : v.emplace_array();
  if (f.pb_wrap) return type == wire::bytes && in.bytes(inner) && string_list(inner, list);
  const bool numeric = f.what == form::boolean || f.what == form::int32 || f.what == form::int64;
  if (numeric && type == wire::bytes) return in.bytes(inner) && add_packed(inner, f, list);
  return element(in, type, f, list.emplace_back(nullptr));
}

bool message_decoder::add_packed(std::string_view bytes, const field& f, json::array& out) {
  wire_reader in(bytes);
  while (!in.done())
    if (!count() || !number(in, wire::varint, f, out.emplace_back(nullptr))) return false;
  return true;
}

bool message_decoder::map_entry(std::string_view bytes, const field& f, json::object& out) {
  json::value key("");
  json::value value;
  bool has_value = false;
  const auto take = [&](std::uint32_t n, wire w, wire_reader& in) {
    std::string_view view;
    if (n == 1) {
      if (w != wire::bytes || !in.bytes(view)) return false;
      key = sane_text(view);
      return true;
    }
    if (n != 2) return in.skip(w);
    has_value = true;
    if (!f.map_of_lists) return count() && element(in, w, f, value);
    return w == wire::bytes && in.bytes(view) && string_list(view, value.emplace_array());
  };
  if (!fields(bytes, take)) return false;
  if (!has_value) {
    if (f.map_of_lists)
      value.emplace_array();
    else if (f.what == form::structure)
      value.emplace_object();
    else if (f.what == form::string || f.what == form::bytes)
      value = "";
  }
  out[key.get_string()] = std::move(value);
  return true;
}

bool message_decoder::string_list(std::string_view bytes, json::array& out) {
  return fields(bytes, [&](std::uint32_t n, wire w, wire_reader& in) {
    std::string_view view;
    if (n != 1 || w != wire::bytes) return in.skip(w);
    if (!count() || !in.bytes(view)) return false;
    out.push_back(sane_text(view));
    return true;
  });
}

bool message_decoder::element(wire_reader& in, wire type, const field& f, json::value& out) {
  switch (f.what) {
  case form::boolean:
  case form::int32:
  case form::int64:
  case form::number: return number(in, type, f, out);
  default: break;
  }
  std::string_view bytes;
  return type == wire::bytes && in.bytes(bytes) && body(bytes, f, out);
}

bool message_decoder::number(wire_reader& in, wire type, const field& f, json::value& out) {
  std::uint64_t v = 0;
  if (f.what == form::number) {
    if (type != wire::fixed64 || !in.fixed64(v)) return false;
    const auto d = std::bit_cast<double>(v);
    if (!(d - d == 0)) return false; // infinities and NaN have no JSON
    out = d;
    return true;
  }
  if (type != wire::varint || !in.varint(v)) return false;
  if (f.what == form::boolean)
    out = v != 0;
  else if (f.what == form::int32)
    out = static_cast<std::int32_t>(static_cast<std::uint32_t>(v)); // negative ones travel as 64 bits
  else
    out = static_cast<std::int64_t>(v);
  return true;
}

bool message_decoder::body(std::string_view bytes, const field& f, json::value& out) {
  switch (f.what) {
  case form::string: out = sane_text(bytes); return true;
  case form::bytes: {
    const auto coded = schema::base64_encode(bytes);
    out = text_value(coded);
    return true;
  }
  case form::structure: return message(bytes, *f.ref, nullptr, out.emplace_object());
  case form::quantity: return quantity(bytes, out);
  case form::int_or_string: return int_or_string(bytes, out);
  case form::time: return time(bytes, false, out);
  case form::microtime: return time(bytes, true, out);
  case form::duration: return duration(bytes, out);
  case form::json_object:
  case form::any:
  case form::object: return raw(bytes, out);
  case form::schema_or_array:
  case form::schema_or_bool:
  case form::schema_or_strings: return schema_choice(bytes, f.what, out);
  default: return false;
  }
}

bool message_decoder::quantity(std::string_view bytes, json::value& out) {
  out = "0";
  return fields(bytes, [&](std::uint32_t n, wire w, wire_reader& in) {
    std::string_view view;
    if (n != 1 || w != wire::bytes) return in.skip(w);
    if (!in.bytes(view)) return false;
    if (!view.empty()) out = sane_text(view);
    return true;
  });
}

bool message_decoder::time(std::string_view bytes, bool micro, json::value& out) {
  out = nullptr; // an empty message is the zero time
  if (bytes.empty()) return true;
  schema::instant t;
  const auto take = [&](std::uint32_t n, wire w, wire_reader& in) {
    std::uint64_t v = 0;
    if (w != wire::varint || n > 2) return in.skip(w);
    if (!in.varint(v)) return false;
    if (n == 1)
      t.seconds = static_cast<std::int64_t>(v);
    else
      t.nanos = static_cast<std::int32_t>(static_cast<std::uint32_t>(v));
    return true;
  };
  if (!fields(bytes, take)) return false;
  if (t.nanos < 0 || t.nanos >= 1'000'000'000) return broken("nanoseconds out of range", bytes.data());
  const auto text = micro ? schema::format_microtime(t) : schema::format_time(t);
  if (text.empty()) return broken("time out of range", bytes.data());
  out = text_value(text);
  return true;
}

bool message_decoder::duration(std::string_view bytes, json::value& out) {
  std::int64_t ns = 0;
  const auto take = [&](std::uint32_t n, wire w, wire_reader& in) {
    std::uint64_t v = 0;
    if (n != 1 || w != wire::varint) return in.skip(w);
    if (!in.varint(v)) return false;
    ns = static_cast<std::int64_t>(v);
    return true;
  };
  if (!fields(bytes, take)) return false;
  out = text_value(schema::format_duration(ns));
  return true;
}

bool message_decoder::int_or_string(std::string_view bytes, json::value& out) {
  std::uint64_t kind = 0;
  std::int32_t number = 0;
  std::string_view text;
  const auto take = [&](std::uint32_t n, wire w, wire_reader& in) {
    std::uint64_t v = 0;
    if (n == 3 && w == wire::bytes) return in.bytes(text);
    if (n > 2 || w != wire::varint) return in.skip(w);
    if (!in.varint(v)) return false;
    if (n == 1)
      kind = v;
    else
      number = static_cast<std::int32_t>(static_cast<std::uint32_t>(v));
    return true;
  };
  if (!fields(bytes, take)) return false;
  if (kind == 0)
    out = number;
  else
    out = sane_text(text);
  return true;
}

bool message_decoder::raw(std::string_view bytes, json::value& out) {
  out = nullptr;
  std::string_view inner;
  const auto take = [&](std::uint32_t n, wire w, wire_reader& in) {
    return n == 1 && w == wire::bytes ? in.bytes(inner) : in.skip(w);
  };
  if (!fields(bytes, take)) return false;
  if (inner.empty()) return true;
  if (inner.starts_with(magic)) {
    if (++depth_ > limits::depth_max) return broken("the message nests too deep", bytes.data());
    const bool ok = envelope(inner, nullptr, out);
    --depth_;
    return ok;
  }
  auto parsed = parse_json(inner);
  if (!parsed) return broken(parsed.error().message, bytes.data());
  out = std::move(parsed->doc);
  return true;
}

bool message_decoder::schema_choice(std::string_view bytes, form what, json::value& out) {
  const auto take = [&](std::uint32_t n, wire w, wire_reader& in) {
    std::string_view view;
    if (what == form::schema_or_bool && n == 1) {
      std::uint64_t v = 0;
      if (w != wire::varint || !in.varint(v)) return false;
      if (!out.is_object()) out = v != 0;
      return true;
    }
    const bool single = n == (what == form::schema_or_bool ? 2u : 1u);
    if (n > 2 || w != wire::bytes) return in.skip(w);
    if (!count() || !in.bytes(view)) return false;
    if (single)
      return message(view, schema::schema_props(), nullptr, out.is_object() ? out.get_object() : out.emplace_object());
    auto& list = out.is_array() ? out.get_array() : out.emplace_array();
    if (what == form::schema_or_strings) {
      list.push_back(sane_text(view));
      return true;
    }
    return message(view, schema::schema_props(), nullptr, list.emplace_back(nullptr).emplace_object());
  };
  return fields(bytes, take);
}

} // namespace

result<decoded> parse_protobuf(std::string_view bytes, const schema::type* expected) {
  message_decoder d(bytes);
  decoded out;
  if (!d.envelope(bytes, expected, out.doc)) return d.fault();
  return out;
}

} // namespace troupe::codec
