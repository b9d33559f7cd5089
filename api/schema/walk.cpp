#include "api/schema/walk.hpp"

#include "api/schema/conform.hpp"

#include <bit>
#include <limits>
#include <vector>

namespace troupe::schema {

std::string path_text(const crumb* at, bool brackets) {
  std::vector<const crumb*> steps;
  for (; at; at = at->up)
    steps.push_back(at);
  std::string out;
  for (auto it = steps.rbegin(); it != steps.rend(); ++it) {
    const crumb& c = **it;
    if (c.index >= 0) {
      out.append("[").append(std::to_string(c.index)).append("]");
    } else if (c.map_key && brackets) {
      out.append("[").append(c.key).append("]");
    } else {
      if (!out.empty()) out += '.';
      out.append(c.key);
    }
  }
  return out;
}

std::string go_path_text(const crumb* at) {
  std::vector<const crumb*> steps;
  for (; at; at = at->up)
    if (at->index < 0 && !at->map_key) steps.push_back(at);
  std::string out;
  for (auto it = steps.rbegin(); it != steps.rend(); ++it) {
    if (!out.empty()) out += '.';
    out.append((*it)->key);
  }
  return out;
}

const type& schema_props() {
  static const type& t =
      *registry::get().find_type("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps");
  return t;
}

json::value zero_value(const field& f, const json::storage_ptr& sp) {
  if (f.how == shape::list && f.name == "items") return json::array(sp);
  if (f.how != shape::single || f.pointer) return json::value(nullptr, sp);
  switch (f.what) {
  case form::string: return json::value("", sp);
  case form::boolean: return json::value(false, sp);
  case form::int32:
  case form::int64:
  case form::number:
  case form::int_or_string: return json::value(0, sp);
  case form::quantity: return json::value("0", sp);
  case form::duration: return json::value("0s", sp);
  case form::structure: {
    json::object o(sp);
    if (f.ref->emit_mask != 0) arrange(o, *f.ref, f.ref->emit_mask);
    return o;
  }
  default: return json::value(nullptr, sp);
  }
}

void arrange(json::object& o, const type& t, std::uint64_t extra) {
  std::uint64_t present = 0;
  int last = -1;
  bool sorted = true;
  for (const auto& kv : o) {
    const int i = t.index_of(jq::view(kv.key()));
    const int rank = i < 0 ? std::numeric_limits<int>::max() : i;
    sorted &= rank >= last;
    last = rank;
    if (i >= 0) present |= std::uint64_t{1} << i;
  }
  if (sorted && (extra & ~present) == 0) return;
  json::object out(o.storage());
  out.reserve(o.size() + static_cast<std::size_t>(std::popcount(extra & ~present)));
  for (auto left = present | extra; left != 0; left &= left - 1) {
    const auto& f = t.fields[static_cast<std::size_t>(std::countr_zero(left))];
    if (auto* v = o.if_contains(f.name))
      out.emplace(f.name, std::move(*v));
    else
      out.emplace(f.name, zero_value(f, o.storage()));
  }
  for (auto& kv : o)
    if (t.index_of(jq::view(kv.key())) < 0) out.emplace(kv.key(), std::move(kv.value()));
  o = std::move(out);
}

namespace {

void reorder_field(json::value& v, const field& f) {
  if (f.what != form::structure) return;
  if (auto* o = v.if_object()) {
    if (f.how == shape::map)
      for (auto& kv : *o)
        reorder(kv.value(), *f.ref);
    else
      reorder(v, *f.ref);
  } else if (auto* a = v.if_array()) {
    for (auto& e : *a)
      reorder(e, *f.ref);
  }
}

} // namespace

void reorder(json::value& doc, const type& t) {
  auto* o = doc.if_object();
  if (!o) return;
  for (auto& kv : *o)
    if (const auto* f = t.find(jq::view(kv.key()))) reorder_field(kv.value(), *f);
  arrange(*o, t, 0);
}

} // namespace troupe::schema
