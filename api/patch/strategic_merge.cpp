#include "api/patch/patch.hpp"

#include <algorithm>
#include <optional>

namespace troupe::patch {

namespace {

constexpr std::string_view directive_key = "$patch";
constexpr std::string_view retain_key = "$retainKeys";
constexpr std::string_view order_prefix = "$setElementOrder/";
constexpr std::string_view delete_prefix = "$deleteFromPrimitiveList/";

/// A patch that makes no sense; thrown and caught in this file only.
struct bad_patch {
  int code;
  std::string why;
};

[[noreturn]] void malformed(std::string why) { throw bad_patch{400, std::move(why)}; }
[[noreturn]] void unprocessable(std::string why) { throw bad_patch{422, std::move(why)}; }

bool starts_with(json::string_view s, std::string_view prefix) { return jq::view(s).starts_with(prefix); }
bool is_directive(json::string_view key) {
  const auto k = jq::view(key);
  return k == directive_key || k == retain_key || k.starts_with(order_prefix) || k.starts_with(delete_prefix);
}

/// How a member of a struct merges, as its schema says; an unknown member merges as plain JSON.
struct member {
  const schema::type* inner = nullptr; // of the struct, list element or map value
  bool is_map = false;                 // map[string]T: `inner` describes the values
  bool merges = false;                 // lists
  bool replaces = false;               // a struct that is never merged
  std::string_view merge_key;
};

/// Where in the schema an object lies: a struct of type `t`, or a map whose values are of type `values`.
struct place {
  const schema::type* t = nullptr;
  const schema::type* values = nullptr;
  member operator[](std::string_view key) const {
    if (!t) return {values, false, false, false, {}};
    const auto* f = t->find(key);
    if (!f) return {};
    const bool structure = f->what == schema::form::structure;
    return {structure ? f->ref : nullptr, f->how == schema::shape::map, f->patch_merge, f->patch_replace, f->merge_key};
  }
};
place inside(const member& m) { return m.is_map ? place{nullptr, m.inner} : place{m.inner, nullptr}; }

/// What is taken over as it is must not carry directives or nulls into the object. A map with a `$patch` of its own is
/// for something that is there: where nothing is, it leaves nothing, as in real servers.
json::value plain(json::value v, bool drop_nulls);
bool has_directive(const json::value& v) {
  const auto* o = v.if_object();
  return o && o->contains(directive_key);
}
void clean(json::object& o, bool drop_nulls) {
  std::vector<std::string> gone;
  for (auto& [k, v] : o)
    if (is_directive(k) || has_directive(v) || (drop_nulls && v.is_null()))
      gone.emplace_back(jq::view(k));
    else
      v = plain(std::move(v), drop_nulls);
  for (const auto& k : gone)
    o.erase(k);
}

json::value plain(json::value v, bool drop_nulls) {
  if (auto* o = v.if_object()) {
    clean(*o, drop_nulls);
  } else if (auto* a = v.if_array()) {
    for (auto it = a->begin(); it != a->end();) {
      if (has_directive(*it)) {
        it = a->erase(it);
        continue;
      }
      *it = plain(std::move(*it), drop_nulls);
      ++it;
    }
  }
  return v;
}

/// Position of an element in a list: by merge key for objects, by value for the rest.
constexpr std::size_t not_there = static_cast<std::size_t>(-1);
const json::value* key_of(const json::value& v, std::string_view merge_key) {
  if (merge_key.empty()) return &v;
  const auto* o = v.if_object();
  return o ? o->if_contains(merge_key) : nullptr;
}
std::size_t index_of(const json::array& list, const json::value& v, std::string_view merge_key) {
  const auto* wanted = key_of(v, merge_key);
  for (std::size_t i = 0; wanted && i < list.size(); ++i) {
    const auto* k = key_of(list[i], merge_key);
    if (k && *k == *wanted) return i;
  }
  return not_there;
}

void sort_by(json::array& items, const json::array& order, std::string_view merge_key) {
  std::vector<std::pair<std::size_t, json::value>> keyed;
  keyed.reserve(items.size());
  for (auto& v : items) {
    const auto at = index_of(order, v, merge_key);
    keyed.emplace_back(at, std::move(v));
  }
  std::stable_sort(keyed.begin(), keyed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < keyed.size(); ++i)
    items[i] = std::move(keyed[i].second);
}

/// Puts `merged` in order: items named in `order` as there, the others where the live list had them in relation to
/// those. Example: live [a,b,c] ordered by [c,a] is [b,c,a], for b stood before c.
json::array arrange(json::array merged, const json::array& order, const json::array& live, std::string_view merge_key) {
  json::array named, others;
  for (auto& v : merged)
    (index_of(order, v, merge_key) == not_there ? others : named).push_back(std::move(v));
  sort_by(named, order, merge_key);
  sort_by(others, live, merge_key);
  json::array out;
  std::size_t i = 0, j = 0;
  while (i < others.size() || j < named.size()) {
    bool take_other = j >= named.size();
    if (!take_other && i < others.size()) {
      const auto a = index_of(live, others[i], merge_key);
      const auto b = index_of(live, named[j], merge_key);
      take_other = a != not_there && b != not_there && a < b;
    }
    out.push_back(std::move(take_other ? others[i++] : named[j++]));
  }
  return out;
}

json::value merge_object(json::value live, json::object patch, place where);

std::optional<std::string> directive_of(const json::object& o) {
  const auto* d = o.if_contains(directive_key);
  if (!d) return std::nullopt;
  const auto* s = d->if_string();
  return s ? std::string{jq::view(*s)} : json::serialize(*d);
}

std::string no_merge_key(const json::value& v, std::string_view key) {
  return "map: " + json::serialize(v) + " does not contain declared merge key: " + std::string{key};
}

/// Applies and removes the `$patch` elements; returns true when the list replaces the live one.
bool special_elements(json::array& live, json::array& patch, std::string_view merge_key) {
  json::array rest;
  bool replace = false;
  for (auto& v : patch) {
    auto* o = v.if_object();
    if (!o) malformed("cannot merge a list of objects with " + json::serialize(v));
    const auto d = directive_of(*o);
    if (!d) {
      rest.push_back(std::move(v));
    } else if (*d == "delete") {
      if (!o->contains(merge_key)) unprocessable(no_merge_key(v, merge_key));
      for (auto at = index_of(live, v, merge_key); at != not_there; at = index_of(live, v, merge_key))
        live.erase(live.begin() + static_cast<std::ptrdiff_t>(at));
    } else if (*d == "replace") {
      replace = true;
      // A full element may carry the marker itself; a bare marker is no element.
      o->erase(directive_key);
      if (!o->empty()) rest.push_back(std::move(v));
    } else if (*d == "merge") {
      o->erase(directive_key);
      rest.push_back(std::move(v));
    } else {
      malformed("unknown patch type '" + *d + "' in map: " + json::serialize(v));
    }
  }
  patch = std::move(rest);
  return replace;
}

json::array merge_objects(json::array live, json::array patch, const member& m) {
  if (m.merge_key.empty()) unprocessable("cannot merge lists without merge key");
  if (special_elements(live, patch, m.merge_key)) {
    for (auto& v : patch)
      v = plain(std::move(v), true);
    return patch;
  }
  auto merged = live;
  for (const auto& v : patch) {
    if (!v.as_object().contains(m.merge_key)) unprocessable(no_merge_key(v, m.merge_key));
    const auto at = index_of(merged, v, m.merge_key);
    if (at == not_there)
      merged.push_back(plain(v, true));
    else
      merged[at] = merge_object(std::move(merged[at]), v.as_object(), inside(m));
  }
  return arrange(std::move(merged), patch, live, m.merge_key);
}

json::array merge_list(json::array live, json::array patch, const member& m) {
  if (!m.merges) {
    for (auto& v : patch)
      v = plain(std::move(v), true);
    return patch;
  }
  const auto object = [](const json::value& v) { return v.is_object(); };
  if (std::any_of(patch.begin(), patch.end(), object) || std::any_of(live.begin(), live.end(), object))
    return merge_objects(std::move(live), std::move(patch), m);
  auto merged = live;
  for (const auto& v : patch)
    if (index_of(merged, v, {}) == not_there) merged.push_back(v);
  return arrange(std::move(merged), patch, live, {});
}

/// Every element of the patch list that stays must stand in the order list, in the same relative order.
void check_order(const json::array& patch, const json::array& order, std::string_view merge_key, std::string_view key) {
  std::size_t at = 0;
  const auto advance_to = [&](const json::value& v) {
    const auto* wanted = key_of(v, merge_key);
    while (at < order.size()) {
      const auto* k = key_of(order[at++], merge_key);
      if (k && wanted && *k == *wanted) return true;
    }
    return false;
  };
  for (const auto& v : patch) {
    const auto* o = v.if_object();
    if ((o && o->contains(directive_key)) || advance_to(v)) continue;
    malformed("The order in patch list:\n" + json::serialize(patch) + "\n doesn't match " + std::string{key} +
              " list:\n" + json::serialize(order) + "\n");
  }
}

/// The order that live items are taken to have had, once the patch removed and added some: real servers put what is
/// added into the places of what was removed, and where items stand follows from that.
/// Example: live [b,a], patch deletes a and adds d, e: [b,d], so d comes after b while e has no place in it.
json::array order_after(const json::array& live, const json::array& patch, std::string_view merge_key) {
  json::array out = live, added;
  for (const auto& v : patch) {
    const auto* o = v.if_object();
    const auto* d = o ? o->if_contains(directive_key) : nullptr;
    const auto at = index_of(out, v, merge_key);
    if (d && *d == "delete" && at != not_there)
      out.erase(out.begin() + static_cast<std::ptrdiff_t>(at));
    else if (!d && index_of(live, v, merge_key) == not_there)
      added.push_back(v);
  }
  for (auto& v : added)
    if (out.size() < live.size()) out.push_back(std::move(v));
  return out;
}

/// `$setElementOrder/<field>` together with the list it orders; both leave the patch.
void apply_order(json::object& live, json::object& patch, const std::string& key, place where) {
  const auto order_value = patch.at(key);
  patch.erase(key);
  const auto* order = order_value.if_array();
  if (!order) malformed("invalid patch format of setElementOrder list");
  const auto field = key.substr(order_prefix.size());
  const auto m = where[field];
  auto* mine = live.if_contains(field);
  auto* theirs = patch.if_contains(field);
  if (theirs && theirs->is_null()) return; // deleted as a whole
  if ((mine && !mine->is_array()) || (theirs && !theirs->is_array()))
    malformed("invalid patch format of setElementOrder list");
  if (!mine && !theirs) return;
  const json::array before = mine ? mine->as_array() : json::array{};
  json::array merged = before, place_order = before;
  if (theirs) {
    if (!m.merge_key.empty()) place_order = order_after(before, theirs->as_array(), m.merge_key);
    check_order(theirs->as_array(), *order, m.merge_key, key);
    merged = mine ? merge_list(before, std::move(theirs->as_array()), m)
                  : std::move(plain(std::move(*theirs), true).as_array());
    patch.erase(field);
  }
  live[field] = arrange(std::move(merged), *order, place_order, m.merge_key);
}

void apply_retain_keys(json::object& live, json::object& patch) {
  const auto* given = patch.if_contains(retain_key);
  if (!given) return;
  const auto* keep = given->if_array();
  if (!keep) malformed("invalid patch format of retainKeys");
  const auto kept = [&](json::string_view k) {
    return std::any_of(keep->begin(), keep->end(),
                       [&](const json::value& v) { return v.is_string() && v.get_string() == k; });
  };
  for (const auto& [k, v] : patch)
    if (!v.is_null() && !is_directive(k) && !kept(k)) malformed("invalid patch format of retainKeys");
  std::vector<std::string> gone;
  for (const auto& [k, v] : live)
    if (!kept(k)) gone.emplace_back(jq::view(k));
  for (const auto& k : gone)
    live.erase(k);
  patch.erase(retain_key);
}

void delete_from_list(json::object& live, std::string_view field, const json::value& gone) {
  const auto* values = gone.if_array();
  if (!values) malformed("invalid patch format of primitive list");
  auto* v = live.if_contains(field);
  auto* list = v ? v->if_array() : nullptr;
  if (!list) return;
  json::array rest;
  for (auto& x : *list)
    if (index_of(*values, x, {}) == not_there) rest.push_back(std::move(x));
  *list = std::move(rest);
}

void merge_member(json::object& live, json::string_view key, json::value patch, place where) {
  if (patch.is_null()) {
    live.erase(key);
    return;
  }
  auto* mine = live.if_contains(key);
  if (!mine || mine->kind() != patch.kind()) {
    if (!mine && has_directive(patch)) return;
    const auto* o = patch.if_object();
    const bool deletes = o && directive_of(*o) == "delete";
    live[key] = deletes ? json::value(json::object{}) : plain(std::move(patch), true);
    return;
  }
  const auto m = where[jq::view(key)];
  if (m.replaces && patch.is_object())
    *mine = plain(std::move(patch), true);
  else if (patch.is_object())
    *mine = merge_object(std::move(*mine), std::move(patch.as_object()), inside(m));
  else if (patch.is_array())
    *mine = merge_list(std::move(mine->as_array()), std::move(patch.as_array()), m);
  else
    *mine = std::move(patch);
}

json::value merge_object(json::value live, json::object patch, place where) {
  if (const auto d = directive_of(patch)) {
    if (*d != "delete" && *d != "replace" && *d != "merge")
      malformed("unknown patch type '" + *d + "' in map: " + json::serialize(patch));
    patch.erase(directive_key);
    if (*d == "delete") return json::object{};
    if (*d == "replace") {
      clean(patch, true);
      return patch;
    }
  }
  auto& o = live.is_object() ? live.as_object() : live.emplace_object();
  apply_retain_keys(o, patch);
  std::vector<std::string> orders;
  for (const auto& [k, v] : patch)
    if (starts_with(k, order_prefix)) orders.emplace_back(jq::view(k));
  for (const auto& k : orders)
    apply_order(o, patch, k, where);
  for (auto& [k, v] : patch) {
    if (starts_with(k, delete_prefix))
      delete_from_list(o, jq::view(k).substr(delete_prefix.size()), v);
    else
      merge_member(o, k, std::move(v), where);
  }
  return live;
}

} // namespace

result<json::value> strategic_merge_patch(const schema::type& t, const json::value& doc, const json::value& patch) {
  const auto* p = patch.if_object();
  if (!p) return errors::bad_request("cannot decode a strategic merge patch that is not a JSON object");
  try {
    return merge_object(doc, *p, place{&t, nullptr});
  } catch (const bad_patch& e) {
    status s = errors::bad_request(e.why);
    if (e.code == 422) {
      s.code = 422;
      s.reason = "Invalid";
      s.message = "the server rejected our request due to an error in our request";
      s.causes.push_back({"FieldValueInvalid", e.why, "patch"});
    }
    return s;
  }
}

} // namespace troupe::patch
