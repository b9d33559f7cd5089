// object_meta: typed access to metadata of objects held as JSON.
// Owner:  nobody; views live as long as the object they were taken from.
// Units:  -
// Errors: absent or ill-typed fields read as empty.
// Source: k8s API section 9.
#pragma once

#include "api/json.hpp"
#include "api/meta/time.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::meta {

inline std::string_view name(const json::value& o) noexcept { return jq::str(o, {"metadata", "name"}); }
inline std::string_view ns(const json::value& o) noexcept { return jq::str(o, {"metadata", "namespace"}); }
inline std::string_view uid(const json::value& o) noexcept { return jq::str(o, {"metadata", "uid"}); }
inline std::string_view kind(const json::value& o) noexcept { return jq::str(o, {"kind"}); }
inline std::string_view api_version(const json::value& o) noexcept { return jq::str(o, {"apiVersion"}); }
inline std::string_view resource_version(const json::value& o) noexcept {
  return jq::str(o, {"metadata", "resourceVersion"});
}
inline std::int64_t generation(const json::value& o) noexcept { return jq::num(o, {"metadata", "generation"}); }
inline const json::object& labels(const json::value& o) noexcept { return jq::obj(o, {"metadata", "labels"}); }
inline const json::object& annotations(const json::value& o) noexcept {
  return jq::obj(o, {"metadata", "annotations"});
}
inline std::string_view label(const json::value& o, std::string_view key) noexcept {
  return jq::str(o, {"metadata", "labels", key});
}
inline std::string_view annotation(const json::value& o, std::string_view key) noexcept {
  return jq::str(o, {"metadata", "annotations", key});
}
inline const json::array& finalizers(const json::value& o) noexcept { return jq::arr(o, {"metadata", "finalizers"}); }
inline const json::array& owners(const json::value& o) noexcept { return jq::arr(o, {"metadata", "ownerReferences"}); }
inline bool deleting(const json::value& o) noexcept { return !jq::str(o, {"metadata", "deletionTimestamp"}).empty(); }
/// `ns/name`, or `name` for cluster scope.
std::string key(const json::value& o);
std::optional<sys_micros> created(const json::value& o) noexcept;
std::optional<sys_micros> deletion_time(const json::value& o) noexcept;

bool has_finalizer(const json::value& o, std::string_view f) noexcept;
/// True when it was not there.
bool add_finalizer(json::value& o, std::string_view f);
bool remove_finalizer(json::value& o, std::string_view f);

/// The owner reference with controller=true, or null.
const json::value* controller_of(const json::value& o) noexcept;
bool controlled_by(const json::value& o, std::string_view owner_uid) noexcept;
/// A reference to `owner` with controller and blockOwnerDeletion set.
json::object controller_reference(const json::value& owner);

} // namespace troupe::meta
