#include "api/schema/conform.hpp"

#include "api/meta/quantity.hpp"
#include "api/schema/scalars.hpp"
#include "api/schema/walk.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace troupe::schema {

namespace {

constexpr std::size_t strict_errors_max = 100;

std::string_view json_kind(const json::value& v) noexcept {
  switch (v.kind()) {
  case json::kind::string: return "string";
  case json::kind::bool_: return "bool";
  case json::kind::array: return "array";
  case json::kind::object: return "object";
  case json::kind::null: return "null";
  default: return "number";
  }
}

std::string number_text(const json::value& v) {
  if (const auto* d = v.if_double()) return format_number(*d);
  return json::serialize(v);
}

std::string go_element(const field& f) {
  switch (f.what) {
  case form::string: return "string";
  case form::boolean: return "bool";
  case form::int32: return "int32";
  case form::int64: return "int64";
  case form::number: return "float64";
  case form::bytes: return "[]uint8";
  case form::structure:
  case form::quantity:
  case form::int_or_string:
  case form::schema_or_array:
  case form::schema_or_bool:
  case form::schema_or_strings: {
    // Package and name: `v1.PodSpec`.
    const std::string_view full = f.ref->name;
    const auto dot = full.rfind('.');
    const auto before = full.rfind('.', dot - 1);
    return std::string{full.substr(before + 1)};
  }
  case form::time:
  case form::microtime:
  case form::duration: return "string";
  default: return "interface {}";
  }
}

std::string go_type(const field& f, bool element) {
  auto inner = go_element(f);
  if (element || f.how == shape::single) return element && f.map_of_lists ? "[]" + inner : inner;
  if (f.how == shape::list) return "[]" + inner;
  return f.map_of_lists ? "map[string][]" + inner : "map[string]" + inner;
}

/// One run over one document.
class walker {
public:
  explicit walker(bool note_unknown) : note_unknown_(note_unknown) {}

  bool structure(json::object& o, const type& t, const crumb* at);
  const std::string& fault() const noexcept { return fault_; }
  std::vector<std::string> take_unknown() { return std::move(unknown_); }

private:
  bool member(json::value& v, const field& f, const type& owner, const crumb* at);
  bool element(json::value& v, const field& f, const type& owner, const crumb* at);
  bool elements(json::array& a, const field& f, const type& owner, const crumb* at);
  bool entries(json::object& o, const field& f, const type& owner, const crumb* at);
  bool integer(json::value& v, const field& f, const type& owner, const crumb* at, std::int64_t lo, std::int64_t hi);
  bool number(json::value& v, const field& f, const type& owner, const crumb* at);
  bool quantity_value(json::value& v, const field& f, const type& owner, const crumb* at);
  bool time_value(json::value& v, bool micro);
  bool duration_value(json::value& v);
  bool bytes_value(json::value& v, const field& f, const type& owner, const crumb* at);
  bool int_or_string(json::value& v);
  bool schema_value(json::value& v, form what, const field& f, const type& owner, const crumb* at);

  void note_unknown(const crumb& c) {
    if (note_unknown_ && unknown_.size() < strict_errors_max)
      unknown_.push_back("unknown field \"" + path_text(&c) + "\"");
  }
  bool mismatch(const json::value& v, const field& f, const type& owner, const crumb* at, bool element) {
    auto what = std::string{json_kind(v)};
    // Go names the literal when a number is of the wrong kind or size rather than no number at all.
    if (v.is_number() && (f.what == form::int32 || f.what == form::int64)) what += " " + number_text(v);
    fault_ = "json: cannot unmarshal " + what + " into Go struct field " + owner.go_name + "." + go_path_text(at) +
             " of type " + go_type(f, element);
    return false;
  }
  bool fail(std::string text) {
    fault_ = std::move(text);
    return false;
  }

  bool note_unknown_;
  std::string fault_;
  std::vector<std::string> unknown_;
};

/// A zero value of a field that is no pointer counts as absent.
bool prunable(const json::value& v, const field& f) noexcept {
  if (f.emit) return false;
  if (f.how != shape::single) {
    if (const auto* a = v.if_array()) return a->empty();
    if (const auto* o = v.if_object()) return o->empty();
    return false;
  }
  if (f.pointer) return false;
  switch (v.kind()) {
  case json::kind::string: return v.get_string().empty();
  case json::kind::bool_: return !v.get_bool();
  case json::kind::int64: return v.get_int64() == 0;
  case json::kind::uint64: return v.get_uint64() == 0;
  case json::kind::double_: return v.get_double() == 0;
  default: return false;
  }
}

bool walker::structure(json::object& o, const type& t, const crumb* at) {
  std::uint64_t present = 0;
  int last = -1;
  bool rebuild = false;
  for (auto& kv : o) {
    const auto key = jq::view(kv.key());
    const crumb here{at, key, -1, false};
    const int i = t.index_of(key);
    if (i < 0) {
      note_unknown(here);
      rebuild = true;
      continue;
    }
    const auto& f = t.fields[static_cast<std::size_t>(i)];
    if (f.gated_off || kv.value().is_null()) {
      rebuild = true;
      continue;
    }
    if (!member(kv.value(), f, t, &here)) return false;
    if (prunable(kv.value(), f)) {
      rebuild = true;
      continue;
    }
    present |= std::uint64_t{1} << i;
    rebuild |= i < last;
    last = i;
  }
  if (!rebuild && (t.emit_mask & ~present) == 0) return true;

  std::array<json::value*, 64> slot;
  for (auto& kv : o) {
    const int i = t.index_of(jq::view(kv.key()));
    if (i >= 0 && (present >> i & 1) != 0) slot[static_cast<std::size_t>(i)] = &kv.value();
  }
  json::object out(o.storage());
  const auto wanted = present | t.emit_mask;
  out.reserve(static_cast<std::size_t>(std::popcount(wanted)));
  for (auto left = wanted; left != 0; left &= left - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(left));
    const auto& f = t.fields[i];
    if ((present >> i & 1) != 0)
      out.emplace(f.name, std::move(*slot[i]));
    else
      out.emplace(f.name, zero_value(f, o.storage()));
  }
  o = std::move(out);
  return true;
}

bool walker::member(json::value& v, const field& f, const type& owner, const crumb* at) {
  if (f.how == shape::single) return element(v, f, owner, at);
  if (f.how == shape::list) {
    auto* a = v.if_array();
    return a ? elements(*a, f, owner, at) : mismatch(v, f, owner, at, false);
  }
  auto* o = v.if_object();
  return o ? entries(*o, f, owner, at) : mismatch(v, f, owner, at, false);
}

bool walker::elements(json::array& a, const field& f, const type& owner, const crumb* at) {
  int i = 0;
  for (auto& e : a) {
    const crumb here{at, {}, i++, false};
    if (e.is_null()) {
      field zero = f;
      zero.how = shape::single;
      zero.pointer = false;
      e = zero_value(zero, a.storage());
    } else if (!element(e, f, owner, &here)) {
      return false;
    }
  }
  return true;
}

bool walker::entries(json::object& o, const field& f, const type& owner, const crumb* at) {
  for (auto& kv : o) {
    const crumb here{at, jq::view(kv.key()), -1, true};
    auto& v = kv.value();
    if (f.map_of_lists) {
      if (v.is_null()) continue;
      auto* a = v.if_array();
      if (!a) return mismatch(v, f, owner, &here, true);
      if (!elements(*a, f, owner, &here)) return false;
    } else if (v.is_null()) {
      field zero = f;
      zero.how = shape::single;
      zero.pointer = false;
      v = zero_value(zero, o.storage());
    } else if (!element(v, f, owner, &here)) {
      return false;
    }
  }
  return true;
}

bool walker::element(json::value& v, const field& f, const type& owner, const crumb* at) {
  switch (f.what) {
  case form::string: return v.is_string() || mismatch(v, f, owner, at, true);
  case form::structure: {
    auto* o = v.if_object();
    return o ? structure(*o, *f.ref, at) : mismatch(v, f, owner, at, true);
  }
  case form::boolean: return v.is_bool() || mismatch(v, f, owner, at, true);
  case form::int32:
    return integer(v, f, owner, at, std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max());
  case form::int64:
    return integer(v, f, owner, at, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
  case form::number: return number(v, f, owner, at);
  case form::bytes: return bytes_value(v, f, owner, at);
  case form::quantity: return quantity_value(v, f, owner, at);
  case form::int_or_string: return int_or_string(v);
  case form::time: return time_value(v, false);
  case form::microtime: return time_value(v, true);
  case form::duration: return duration_value(v);
  case form::object: return v.is_object() || mismatch(v, f, owner, at, true);
  case form::schema_or_array:
  case form::schema_or_bool:
  case form::schema_or_strings: return schema_value(v, f.what, f, owner, at);
  case form::json_object:
  case form::any: return true;
  }
  return true;
}

bool walker::integer(json::value& v, const field& f, const type& owner, const crumb* at, std::int64_t lo,
                     std::int64_t hi) {
  // Documents made inside the process hold unsigned numbers too; a parsed one holds them only above int64.
  if (const auto* u = v.if_uint64(); u && *u <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    v = static_cast<std::int64_t>(*u);
  if (const auto* i = v.if_int64()) return (*i >= lo && *i <= hi) || mismatch(v, f, owner, at, true);
  return mismatch(v, f, owner, at, true);
}

bool walker::number(json::value& v, const field& f, const type& owner, const crumb* at) {
  if (!v.is_number()) return mismatch(v, f, owner, at, true);
  // Whole numbers are printed without a fraction or exponent.
  if (const auto* d = v.if_double(); d && std::trunc(*d) == *d && std::fabs(*d) < 9e15)
    v = static_cast<std::int64_t>(*d);
  return true;
}

bool walker::quantity_value(json::value& v, const field& f, const type& owner, const crumb* at) {
  std::string number;
  std::string_view text;
  if (const auto* s = v.if_string()) {
    text = jq::view(*s);
  } else if (v.is_number()) {
    number = number_text(v);
    text = number;
  } else {
    return mismatch(v, f, owner, at, true);
  }
  auto canonical = canonical_quantity(text);
  if (!canonical) return fail(std::move(canonical.error().message));
  if (!v.is_string() || *canonical != text)
    v = json::value(json::string_view{canonical->data(), canonical->size()}, v.storage());
  return true;
}

bool walker::time_value(json::value& v, bool micro) {
  const auto* s = v.if_string();
  if (!s) return fail("json: cannot unmarshal " + std::string{json_kind(v)} + " into Go value of type string");
  const auto text = jq::view(*s);
  if (!micro && is_canonical_time(text)) return true;
  const auto t = parse_time(text);
  std::string out = t ? (micro ? format_microtime(*t) : format_time(*t)) : std::string{};
  if (out.empty()) {
    const std::string layout = micro ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00";
    return fail("parsing time " + json::serialize(v) + " as \"" + layout + "\": cannot parse " + json::serialize(v));
  }
  if (out != text) v = json::value(json::string_view{out.data(), out.size()}, v.storage());
  return true;
}

bool walker::duration_value(json::value& v) {
  const auto* s = v.if_string();
  if (!s) return fail("json: cannot unmarshal " + std::string{json_kind(v)} + " into Go value of type string");
  const auto ns = parse_duration(jq::view(*s));
  if (!ns) return fail("time: invalid duration " + json::serialize(v));
  const auto out = format_duration(*ns);
  if (out != jq::view(*s)) v = json::value(json::string_view{out.data(), out.size()}, v.storage());
  return true;
}

bool walker::bytes_value(json::value& v, const field& f, const type& owner, const crumb* at) {
  auto* s = v.if_string();
  if (!s) return mismatch(v, f, owner, at, true);
  const auto fault = base64_fault(jq::view(*s));
  if (fault != std::string_view::npos) return fail("illegal base64 data at input byte " + std::to_string(fault));
  if (jq::view(*s).find_first_of("\r\n") != std::string_view::npos) {
    std::string out;
    for (const char c : jq::view(*s))
      if (c != '\r' && c != '\n') out += c;
    s->assign(json::string_view{out.data(), out.size()});
  }
  return true;
}

bool walker::int_or_string(json::value& v) {
  if (v.is_string()) return true;
  if (const auto* u = v.if_uint64(); u && *u <= static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max()))
    v = static_cast<std::int64_t>(*u);
  if (const auto* i = v.if_int64();
      i && *i >= std::numeric_limits<std::int32_t>::min() && *i <= std::numeric_limits<std::int32_t>::max())
    return true;
  auto what = std::string{json_kind(v)};
  if (v.is_number()) what += " " + number_text(v);
  return fail("json: cannot unmarshal " + what + " into Go value of type int32");
}

bool walker::schema_value(json::value& v, form what, const field& f, const type& owner, const crumb* at) {
  if (auto* o = v.if_object()) return structure(*o, schema_props(), at);
  if (what == form::schema_or_bool && v.is_bool()) return true;
  auto* a = v.if_array();
  if (!a || what == form::schema_or_bool) return mismatch(v, f, owner, at, true);
  int i = 0;
  for (auto& e : *a) {
    const crumb here{at, {}, i++, false};
    if (what == form::schema_or_strings) {
      if (!e.is_string()) return mismatch(e, f, owner, &here, true);
    } else {
      auto* o = e.if_object();
      if (!o) return mismatch(e, f, owner, &here, true);
      if (!structure(*o, schema_props(), &here)) return false;
    }
  }
  return true;
}

/// `Deployment in version "v1" cannot be handled as a Deployment: `, as far as the kind is known.
std::string handled_as(const json::value& doc, const type& t) {
  std::string kind{jq::str(doc, {"kind"})};
  std::string_view version = jq::str(doc, {"apiVersion"});
  version = version.substr(version.find('/') == version.npos ? 0 : version.find('/') + 1);
  if (!t.kinds.empty()) {
    if (kind.empty()) kind = t.kinds.front().kind;
    if (version.empty()) version = t.kinds.front().version;
  }
  if (kind.empty()) return {};
  return kind + " in version \"" + std::string{version} + "\" cannot be handled as a " +
         (t.kinds.empty() ? t.go_name : t.kinds.front().kind) + ": ";
}

} // namespace

result<field_validation> parse_field_validation(std::string_view word) {
  if (word.empty() || word == "Warn") return field_validation::warn;
  if (word == "Ignore") return field_validation::ignore;
  if (word == "Strict") return field_validation::strict;
  return errors::invalid(
      "CreateOptions", "meta.k8s.io", "",
      {troupe::field::not_supported("fieldValidation", json::value(json::string_view{word.data(), word.size()}),
                                    {"Ignore", "Warn", "Strict"})});
}

std::string strict_text(std::span<const std::string> texts) {
  std::string out = "strict decoding error: ";
  for (std::size_t i = 0; i < texts.size(); ++i)
    out.append(i ? ", " : "").append(texts[i]);
  return out;
}

result<std::vector<std::string>> conform(json::value& doc, const type& t, field_validation mode,
                                         std::span<const std::string> duplicates) {
  auto* root = doc.if_object();
  if (!root)
    return errors::bad_request(handled_as(doc, t) + "json: cannot unmarshal " + std::string{json_kind(doc)} +
                               " into Go value of type " + t.go_name);
  walker w(mode != field_validation::ignore);
  if (!w.structure(*root, t, nullptr)) return errors::bad_request(handled_as(doc, t) + w.fault());
  auto texts = w.take_unknown();
  if (mode == field_validation::ignore) return texts;
  for (const auto& d : duplicates)
    texts.push_back("duplicate field \"" + d + "\"");
  if (mode == field_validation::strict && !texts.empty())
    return errors::bad_request(handled_as(doc, t) + strict_text(texts));
  return texts;
}

} // namespace troupe::schema
