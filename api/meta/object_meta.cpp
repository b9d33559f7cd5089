#include "api/meta/object_meta.hpp"

namespace troupe::meta {

std::string key(const json::value& o) {
  const auto n = ns(o);
  std::string out{n};
  if (!n.empty()) out += '/';
  return out.append(name(o));
}

std::optional<sys_micros> created(const json::value& o) noexcept {
  return parse_time(jq::str(o, {"metadata", "creationTimestamp"}));
}

std::optional<sys_micros> deletion_time(const json::value& o) noexcept {
  return parse_time(jq::str(o, {"metadata", "deletionTimestamp"}));
}

bool has_finalizer(const json::value& o, std::string_view f) noexcept {
  for (const auto& x : finalizers(o))
    if (const auto* s = x.if_string(); s && jq::view(*s) == f) return true;
  return false;
}

bool add_finalizer(json::value& o, std::string_view f) {
  if (has_finalizer(o, f)) return false;
  auto& list = jq::at(o, {"metadata", "finalizers"});
  if (!list.is_array()) list.emplace_array();
  list.as_array().push_back(json::string(f));
  return true;
}

bool remove_finalizer(json::value& o, std::string_view f) {
  auto* list = jq::find(o, {"metadata", "finalizers"});
  auto* a = list ? list->if_array() : nullptr;
  if (!a) return false;
  bool removed = false;
  for (auto it = a->begin(); it != a->end();) {
    const auto* s = it->if_string();
    if (s && jq::view(*s) == f) {
      it = a->erase(it);
      removed = true;
    } else {
      ++it;
    }
  }
  if (a->empty()) jq::erase(o, {"metadata", "finalizers"});
  return removed;
}

const json::value* controller_of(const json::value& o) noexcept {
  for (const auto& ref : owners(o))
    if (jq::flag(ref, {"controller"})) return &ref;
  return nullptr;
}

bool controlled_by(const json::value& o, std::string_view owner_uid) noexcept {
  const auto* ref = controller_of(o);
  return ref && !owner_uid.empty() && jq::str(*ref, {"uid"}) == owner_uid;
}

json::object controller_reference(const json::value& owner) {
  json::object ref;
  ref["apiVersion"] = api_version(owner);
  ref["kind"] = kind(owner);
  ref["name"] = name(owner);
  ref["uid"] = uid(owner);
  ref["controller"] = true;
  ref["blockOwnerDeletion"] = true;
  return ref;
}

} // namespace troupe::meta
