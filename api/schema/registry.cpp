#include "api/schema/registry.hpp"

#include "api/schema/embedded.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <unordered_map>

namespace troupe::schema {

namespace {

/// The embedded data is part of the program: a fault in it is a fault of the build.
[[noreturn]] void broken(std::string_view what) {
  std::fprintf(stderr, "troupe: embedded API data: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

/// Mixes the length and five characters; distinct enough for the at most 44 names of one type.
std::uint32_t name_hash(std::string_view s) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(s[i])); };
  const auto n = s.size();
  if (n == 0) return 0;
  std::uint32_t h = static_cast<std::uint32_t>(n) * 0x9e3779b1u;
  h ^= at(0) * 0x85ebca6bu;
  h ^= at(n - 1) * 0xc2b2ae35u;
  h ^= at(n / 2) * 0x27d4eb2fu;
  h ^= at(n / 4) * 0x165667b1u;
  h ^= at(n - n / 4 - 1) * 0x1b873593u;
  return h ^ (h >> 15);
}

/// Three names that view strings owned elsewhere.
struct triple {
  std::string_view a, b, c;
  bool operator==(const triple&) const = default;
};
struct triple_hash {
  std::size_t operator()(const triple& t) const noexcept {
    const std::hash<std::string_view> h;
    return h(t.a) * 31 + h(t.b) * 131 + h(t.c);
  }
};
template <class T>
using by_triple = std::unordered_map<triple, const T*, triple_hash>;

std::string text(const json::object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  return v && v->is_string() ? std::string{jq::view(v->get_string())} : std::string{};
}
bool flag(const json::object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  return v && v->is_bool() && v->get_bool();
}
std::vector<std::string> texts(const json::object& o, std::string_view key) {
  std::vector<std::string> out;
  const auto* v = o.if_contains(key);
  if (!v) return out;
  if (v->is_string()) out.emplace_back(jq::view(v->get_string()));
  if (const auto* a = v->if_array())
    for (const auto& e : *a)
      out.emplace_back(jq::view(e.as_string()));
  return out;
}

form scalar_form(std::string_view words) {
  static constexpr std::pair<std::string_view, form> table[] = {
      {"quantity", form::quantity}, {"int-or-string", form::int_or_string},
      {"time", form::time},         {"microtime", form::microtime},
      {"duration", form::duration}, {"json-object", form::json_object},
      {"any", form::any},
  };
  for (const auto& [word, f] : table)
    if (word == words) return f;
  if (words.ends_with("or boolean")) return form::schema_or_bool;
  if (words.ends_with("or array of string")) return form::schema_or_strings;
  if (words.starts_with("object or array of")) return form::schema_or_array;
  broken("unknown scalar form");
}

std::optional<form> base_form(std::string_view t) {
  static constexpr std::pair<std::string_view, form> table[] = {
      {"string", form::string}, {"bool", form::boolean}, {"int32", form::int32}, {"int64", form::int64},
      {"double", form::number}, {"bytes", form::bytes},  {"any", form::any},     {"object", form::object},
  };
  for (const auto& [word, f] : table)
    if (word == t) return f;
  return std::nullopt;
}

std::string go_name_of(std::string_view full) { return std::string{full.substr(full.rfind('.') + 1)}; }

/// "a -> b; c -> d" as {"a": "b", "c": "d"}; words without an arrow become a key with an empty value.
json::object conditions(std::string_view words) {
  json::object out;
  while (!words.empty()) {
    const auto end = words.find("; ");
    const auto part = words.substr(0, end);
    const auto arrow = part.find(" -> ");
    if (arrow == part.npos) {
      out[part] = "";
    } else {
      out[part.substr(0, arrow)] = json::string(part.substr(arrow + 4));
    }
    words = end == words.npos ? std::string_view{} : words.substr(end + 2);
  }
  return out;
}

void read_patch(field& f, std::string_view words) {
  f.patch_merge = words.find("merge") != words.npos;
  f.patch_retain_keys = words.find("retainKeys") != words.npos;
  f.patch_replace = words == "replace";
}

void read_type_word(field& f, std::string_view t, const auto& find_type) {
  if (t.starts_with("[]")) {
    f.how = shape::list;
    t.remove_prefix(2);
  } else if (t.starts_with("map[string]")) {
    f.how = shape::map;
    t.remove_prefix(11);
    if (t.starts_with("[]")) {
      f.map_of_lists = true;
      t.remove_prefix(2);
    }
  }
  if (const auto base = base_form(t)) {
    f.what = *base;
    return;
  }
  f.ref = find_type(t);
  if (!f.ref) broken("a field refers to an unknown type");
  f.what = f.ref->what;
}

void build_slots(type& t) {
  std::size_t size = 4;
  while (size < t.fields.size() * 3)
    size *= 2;
  t.slots.assign(size, 0);
  for (std::size_t i = 0; i < t.fields.size(); ++i) {
    auto at = name_hash(t.fields[i].name) & (size - 1);
    while (t.slots[at] != 0)
      at = (at + 1) & (size - 1);
    t.slots[at] = static_cast<std::uint8_t>(i + 1);
  }
}

json::value parse_embedded(std::string_view bytes, json::storage_ptr sp = {}) {
  boost::system::error_code ec;
  auto v = json::parse(json::string_view{bytes.data(), bytes.size()}, ec, std::move(sp));
  if (ec) broken(ec.message());
  return v;
}

} // namespace

int type::index_of(std::string_view key) const noexcept {
  if (slots.empty()) return -1;
  const auto mask = slots.size() - 1;
  for (auto at = name_hash(key) & mask; slots[at] != 0; at = (at + 1) & mask) {
    const auto i = static_cast<std::size_t>(slots[at] - 1);
    if (fields[i].name == key) return static_cast<int>(i);
  }
  return -1;
}

const field* type::find(std::string_view key) const noexcept {
  const auto i = index_of(key);
  return i < 0 ? nullptr : &fields[static_cast<std::size_t>(i)];
}

bool resource::allows(std::string_view verb) const noexcept {
  return std::find(verbs.begin(), verbs.end(), verb) != verbs.end();
}

const subresource* resource::sub(std::string_view wanted) const noexcept {
  for (const auto& s : subresources)
    if (s.name == wanted) return &s;
  return nullptr;
}

struct registry::impl {
  std::vector<type> types; // sized once: pointers into it stay good
  std::vector<const type*> type_list;
  std::unordered_map<std::string_view, type*> type_by_name;
  by_triple<type> type_by_kind;
  std::unordered_map<std::string_view, const type*> type_by_bare_kind; // option types of every group
  std::vector<resource> resources;
  std::vector<group> groups;
  by_triple<resource> by_plural, by_kind;
  std::unordered_map<std::string, const resource*> by_name;
  mutable std::once_flag printers_once, rbac_once;
  mutable json::value printers, rbac;

  void load_types();
  void load_type(type& t, const json::object& entry, const json::object& gates);
  field load_field(std::string_view name, const json::object& e, const json::object& gates);
  void load_kinds(type& t, const json::value& gvk);
  void load_resources();
  resource load_resource(const json::object& e);
  void index_resources();
};

void registry::impl::load_types() {
  json::monotonic_resource arena(4u << 20);
  const auto doc = parse_embedded(embedded::types, &arena);
  const auto& entries = doc.as_object().at("types").as_object();
  const auto& gates = doc.as_object().at("gates").as_object();
  types.resize(entries.size());
  type_list.reserve(entries.size());
  type_by_name.reserve(entries.size());
  std::size_t i = 0;
  for (const auto& kv : entries) {
    auto& t = types[i];
    t.id = static_cast<std::uint32_t>(i++);
    t.name = std::string{jq::view(kv.key())};
    t.go_name = go_name_of(t.name);
    const auto& e = kv.value().as_object();
    if (const auto* words = e.if_contains("scalar")) t.what = scalar_form(jq::view(words->as_string()));
    type_list.push_back(&t);
    type_by_name.emplace(t.name, &t);
  }
  i = 0;
  for (const auto& kv : entries)
    load_type(types[i++], kv.value().as_object(), gates);
}

void registry::impl::load_type(type& t, const json::object& entry, const json::object& gates) {
  json::object raw;
  for (const auto& kv : entry)
    if (kv.key() != "fields" && kv.key() != "gvk") raw[kv.key()] = kv.value();
  if (!raw.empty()) t.raw = std::move(raw);
  t.map_atomic = text(entry, "map") == "atomic";
  if (const auto* gvk = entry.if_contains("gvk")) load_kinds(t, *gvk);
  if (const auto* list = entry.if_contains("fields")) {
    const auto& fields = list->as_object();
    if (fields.size() > 64) broken("a type has more than 64 fields");
    t.fields.reserve(fields.size());
    for (const auto& kv : fields) {
      t.fields.push_back(load_field(jq::view(kv.key()), kv.value().as_object(), gates));
      if (t.fields.back().emit) t.emit_mask |= std::uint64_t{1} << (t.fields.size() - 1);
    }
    build_slots(t);
  }
}

void registry::impl::load_kinds(type& t, const json::value& gvk_value) {
  if (gvk_value.is_string()) {
    t.any_group = true;
    type_by_bare_kind.emplace(t.go_name, &t);
    return;
  }
  const auto& a = gvk_value.as_array();
  const auto read = [&](const json::array& x) {
    t.kinds.push_back({std::string{jq::view(x.at(0).as_string())}, std::string{jq::view(x.at(1).as_string())},
                       std::string{jq::view(x.at(2).as_string())}});
  };
  if (!a.empty() && a.front().is_array()) {
    for (const auto& x : a)
      read(x.as_array());
  } else {
    read(a);
  }
  for (const auto& k : t.kinds)
    type_by_kind.emplace(triple{k.group, k.version, k.kind}, &t);
}

field registry::impl::load_field(std::string_view name, const json::object& e, const json::object& gates) {
  field f;
  f.name = std::string{name};
  read_type_word(f, jq::view(e.at("t").as_string()), [&](std::string_view n) -> const type* {
    const auto it = type_by_name.find(n);
    return it == type_by_name.end() ? nullptr : it->second;
  });
  f.required = flag(e, "req");
  f.pointer = flag(e, "ptr");
  f.emit = flag(e, "emit");
  f.deprecated = flag(e, "deprecated");
  f.map_atomic = text(e, "map") == "atomic";
  const auto list = text(e, "list");
  f.list = list == "map" ? list_kind::map : list == "set" ? list_kind::set : list_kind::atomic;
  f.keys = texts(e, "keys");
  read_patch(f, text(e, "patch"));
  f.merge_key = text(e, "mergeKey");
  if (const auto* v = e.if_contains("default")) f.fallback.emplace(*v, json::storage_ptr{});
  if (const auto* v = e.if_contains("defaultIf")) f.fallback_if = conditions(jq::view(v->as_string()));
  f.one_of = texts(e, "enum");
  if (const auto* v = e.if_contains("pb")) f.pb = v->to_number<int>();
  if (const auto* v = e.if_contains("inline")) {
    const auto& steps = v->as_array();
    for (std::size_t i = 0; i + 1 < steps.size(); i += 2)
      f.pb_inline.emplace_back(jq::view(steps[i].as_string()), steps[i + 1].to_number<int>());
  }
  f.pb_wrap = flag(e, "pbWrap");
  // Behind several gates a field is off only when all of them are.
  const auto behind = texts(e, "gate");
  f.gated_off = !behind.empty() && std::none_of(behind.begin(), behind.end(), [&](const std::string& g) {
    const auto* gate = gates.if_contains(g);
    return !gate || flag(gate->as_object(), "on");
  });
  return f;
}

resource registry::impl::load_resource(const json::object& e) {
  const auto type_named = [&](const std::string& n) -> const type* {
    const auto it = type_by_name.find(n);
    if (it == type_by_name.end()) broken("a resource refers to an unknown type");
    return it->second;
  };
  resource r;
  r.group = text(e, "group");
  r.version = text(e, "version");
  r.kind = text(e, "kind");
  r.plural = text(e, "plural");
  r.singular = text(e, "singular");
  r.list_kind = text(e, "listKind");
  r.short_names = texts(e, "shortNames");
  r.categories = texts(e, "categories");
  r.verbs = texts(e, "verbs");
  r.field_selectors = texts(e, "fieldSelectors");
  r.immutable = texts(e, "immutable");
  r.namespaced = flag(e, "namespaced");
  r.body = type_named(text(e, "type"));
  r.api_version = r.group.empty() ? r.version : r.group + "/" + r.version;
  const auto storage = text(e, "storage");
  r.stored = !storage.empty();
  if (const auto slash = storage.find('/'); slash != storage.npos) {
    r.storage_group = storage.substr(0, slash);
    r.storage_version = storage.substr(slash + 1);
  } else {
    r.storage_version = storage;
  }
  r.storage_version_hash = text(e, "storageVersionHash");
  r.name_rule = text(e, "nameRule");
  r.counts_generation = flag(e, "generation");
  r.create_on_update = flag(e, "createOnUpdate");
  r.unconditional_update = flag(e, "unconditionalUpdate");
  r.delete_returns_object = text(e, "deleteReturns") == "object";
  r.graceful_delete = flag(e, "gracefulDelete");
  if (auto p = text(e, "defaultPropagation"); !p.empty()) r.default_propagation = std::move(p);
  if (const auto* subs = e.if_contains("subresources"))
    for (const auto& v : subs->as_array()) {
      const auto& s = v.as_object();
      r.subresources.push_back({text(s, "name"), text(s, "group"), text(s, "version"), text(s, "kind"),
                                type_named(text(s, "type")), texts(s, "verbs"), flag(s, "connect")});
    }
  r.has_status = r.sub("status") != nullptr;
  if (r.stored) r.store_key = r.storage_group.empty() ? r.plural : r.plural + "." + r.storage_group;
  return r;
}

void registry::impl::load_resources() {
  json::monotonic_resource arena(512u << 10);
  const auto doc = parse_embedded(embedded::resources, &arena);
  for (const auto& v : doc.as_object().at("groups").as_array()) {
    const auto& g = v.as_object();
    groups.push_back({text(g, "name"), text(g, "preferred"), texts(g, "versions")});
  }
  const auto& list = doc.as_object().at("resources").as_array();
  resources.reserve(list.size());
  for (const auto& v : list)
    resources.push_back(load_resource(v.as_object()));
}

void registry::impl::index_resources() {
  const auto preferred = [&](const resource& r) {
    for (const auto& g : groups)
      if (g.name == r.group) return g.preferred == r.version;
    return r.group.empty();
  };
  for (const auto& r : resources) {
    by_plural.emplace(triple{r.group, r.version, r.plural}, &r);
    by_kind.emplace(triple{r.group, r.version, r.kind}, &r);
  }
  // A kind whose storage version has no type at this level is stored as the version that is served.
  for (auto& r : resources)
    if (r.stored && !by_kind.contains(triple{r.storage_group, r.storage_version, r.kind}))
      r.storage_version = r.version;
  // The order of groups decides which one wins a bare name; resources stand in that order.
  for (const auto& r : resources) {
    if (!preferred(r)) continue;
    by_name.emplace(r.plural, &r);
    if (!r.group.empty()) {
      by_name.emplace(r.plural + "." + r.group, &r);
      by_name.emplace(r.plural + "." + r.version + "." + r.group, &r);
      if (!r.singular.empty()) by_name.emplace(r.singular + "." + r.group, &r);
    }
    if (!r.singular.empty()) by_name.emplace(r.singular, &r);
    for (const auto& s : r.short_names)
      by_name.emplace(s, &r);
  }
}

const registry& registry::get() {
  static const registry one;
  return one;
}

registry::registry() : impl_(std::make_unique<impl>()) {
  impl_->load_types();
  impl_->load_resources();
  impl_->index_resources();
}

registry::~registry() = default;

const type* registry::find_type(std::string_view name) const noexcept {
  const auto it = impl_->type_by_name.find(name);
  return it == impl_->type_by_name.end() ? nullptr : it->second;
}

const type* registry::find_kind(std::string_view group, std::string_view version,
                                std::string_view kind) const noexcept {
  const auto it = impl_->type_by_kind.find(triple{group, version, kind});
  if (it != impl_->type_by_kind.end()) return it->second;
  const auto any = impl_->type_by_bare_kind.find(kind);
  return any == impl_->type_by_bare_kind.end() ? nullptr : any->second;
}

const resource* registry::find(std::string_view group, std::string_view version,
                               std::string_view plural) const noexcept {
  const auto it = impl_->by_plural.find(triple{group, version, plural});
  return it == impl_->by_plural.end() ? nullptr : it->second;
}

const resource* registry::find_by_kind(std::string_view group, std::string_view version,
                                       std::string_view kind) const noexcept {
  const auto it = impl_->by_kind.find(triple{group, version, kind});
  return it == impl_->by_kind.end() ? nullptr : it->second;
}

const resource* registry::find_by_name(std::string_view name) const noexcept {
  std::string lower{name};
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const auto it = impl_->by_name.find(lower);
  return it == impl_->by_name.end() ? nullptr : it->second;
}

std::span<const resource> registry::resources() const noexcept { return impl_->resources; }
std::span<const group> registry::groups() const noexcept { return impl_->groups; }
std::span<const type* const> registry::types() const noexcept { return impl_->type_list; }

const json::value& registry::printers() const noexcept {
  std::call_once(impl_->printers_once, [this] { impl_->printers = parse_embedded(embedded::printers); });
  return impl_->printers;
}

const json::value& registry::rbac() const noexcept {
  std::call_once(impl_->rbac_once, [this] { impl_->rbac = parse_embedded(embedded::rbac); });
  return impl_->rbac;
}

} // namespace troupe::schema
