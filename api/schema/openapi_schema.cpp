#include "api/schema/openapi_schema.hpp"

#include "api/schema/openapi_words.hpp"

#include <algorithm>

namespace troupe::schema {

namespace {

std::string ref_to(std::string_view name, openapi_level level) {
  return (level == openapi_level::v2 ? "#/definitions/" : "#/components/schemas/") + std::string{name};
}

/// Members of the schema of one value: its type, or where its type stands.
void value_members(text_writer& w, const field& f, openapi_level level) {
  if (f.ref) {
    if (level == openapi_level::v2) {
      w.member("$ref", ref_to(f.ref->name, level));
    } else {
      w.key("allOf").open('[').open('{').member("$ref", ref_to(f.ref->name, level)).close('}').close(']');
      if (!f.pointer && f.what == form::structure) w.key("default").open('{').close('}');
    }
    return;
  }
  switch (f.what) {
  case form::string: w.member("type", "string"); break;
  case form::boolean: w.member("type", "boolean"); break;
  case form::int32: w.member("type", "integer").member("format", "int32"); break;
  case form::int64: w.member("type", "integer").member("format", "int64"); break;
  case form::number: w.member("type", "number").member("format", "double"); break;
  case form::bytes: w.member("type", "string").member("format", "byte"); break;
  case form::object: w.member("type", "object"); break;
  default: break;
  }
}

void element_schema(text_writer& w, const field& f, openapi_level level) {
  w.open('{');
  if (f.map_of_lists) {
    w.member("type", "array").key("items").open('{');
    value_members(w, f, level);
    w.close('}');
  } else {
    value_members(w, f, level);
  }
  w.close('}');
}

void list_rules(text_writer& w, const field& f) {
  if (f.how == shape::list) {
    static constexpr std::string_view kinds[] = {"atomic", "set", "map"};
    if (f.list == list_kind::map) w.key("x-kubernetes-list-map-keys").texts(f.keys);
    w.member("x-kubernetes-list-type", kinds[static_cast<std::size_t>(f.list)]);
  }
  if (f.map_atomic) w.member("x-kubernetes-map-type", "atomic");
  if (!f.merge_key.empty()) w.member("x-kubernetes-patch-merge-key", f.merge_key);
  if (f.patch_merge || f.patch_retain_keys) {
    std::string how = f.patch_merge ? "merge" : "";
    if (f.patch_retain_keys) how += how.empty() ? "retainKeys" : ",retainKeys";
    w.member("x-kubernetes-patch-strategy", how);
  }
}

void property(text_writer& w, const type& owner, const field& f, openapi_level level) {
  w.open('{').member("description", describe(owner, f));
  switch (f.how) {
  case shape::single: value_members(w, f, level); break;
  case shape::list:
    w.member("type", "array").key("items");
    element_schema(w, f, level);
    break;
  case shape::map:
    w.member("type", "object").key("additionalProperties");
    element_schema(w, f, level);
    break;
  }
  if (f.fallback && !f.ref) w.key("default").value(*f.fallback);
  if (!f.one_of.empty() && f.how == shape::single) w.key("enum").texts(f.one_of);
  list_rules(w, f);
  w.close('}');
}

void scalar_members(text_writer& w, const type& t, openapi_level level) {
  const bool v3 = level == openapi_level::v3;
  const auto either = [&](std::string_view a, std::string_view b) {
    w.key("oneOf").open('[');
    for (const auto x : {a, b})
      w.open('{').member("type", x).close('}');
    w.close(']');
  };
  switch (t.what) {
  case form::quantity:
    if (v3)
      either("string", "number");
    else
      w.member("type", "string");
    break;
  case form::int_or_string:
    if (v3)
      either("integer", "string");
    else
      w.member("type", "string");
    w.member("format", "int-or-string");
    break;
  case form::time:
  case form::microtime: w.member("type", "string").member("format", "date-time"); break;
  case form::duration: w.member("type", "string"); break;
  case form::json_object: w.member("type", "object"); break;
  default: break;
  }
}

void write_unions(text_writer& w, const json::value& raw) {
  const auto* o = raw.if_object();
  const auto* unions = o ? o->if_contains("unions") : nullptr;
  if (!unions) return;
  w.key("x-kubernetes-unions").open('[');
  for (const auto& u : unions->as_array()) {
    w.open('{').member("discriminator", jq::str(u, {"discriminator"}));
    w.key("fields-to-discriminateBy").value(*jq::find(u, {"fields"})).close('}');
  }
  w.close(']');
}

} // namespace

void write_gvk(text_writer& w, std::string_view group, std::string_view version, std::string_view kind) {
  w.open('{').member("group", group).member("kind", kind).member("version", version).close('}');
}

void write_schema(text_writer& w, const type& t, openapi_level level, std::string_view group,
                  std::string_view version) {
  w.open('{').member("description", describe(t));
  if (t.what != form::structure) {
    scalar_members(w, t, level);
    w.close('}');
    return;
  }
  w.member("type", "object");
  std::vector<std::string_view> required;
  for (const auto& f : t.fields)
    if (f.required) required.push_back(f.name);
  if (!required.empty()) w.key("required").texts(required);
  if (!t.fields.empty()) {
    w.key("properties").open('{');
    for (const auto& f : t.fields) {
      w.key(f.name);
      property(w, t, f, level);
    }
    w.close('}');
  }
  if (!t.kinds.empty() || t.any_group) {
    w.key("x-kubernetes-group-version-kind").open('[');
    for (const auto& k : t.kinds)
      write_gvk(w, k.group, k.version, k.kind);
    if (t.any_group) write_gvk(w, group, version, t.go_name);
    w.close(']');
  }
  if (t.map_atomic) w.member("x-kubernetes-map-type", "atomic");
  write_unions(w, t.raw);
  w.close('}');
}

std::vector<const type*> reachable(const std::vector<const type*>& roots) {
  std::vector<bool> seen(registry::get().types().size());
  std::vector<const type*> open;
  std::vector<const type*> out;
  const auto add = [&](const type* t) {
    if (!t || seen[t->id]) return;
    seen[t->id] = true;
    open.push_back(t);
    out.push_back(t);
  };
  for (const auto* t : roots)
    add(t);
  while (!open.empty()) {
    const auto* t = open.back();
    open.pop_back();
    for (const auto& f : t->fields)
      add(f.ref);
  }
  std::sort(out.begin(), out.end(), [](const type* a, const type* b) { return a->name < b->name; });
  return out;
}

} // namespace troupe::schema
