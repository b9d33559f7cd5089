// route: what a URL and a method ask for.
// Owner:  -; pure.
// Units:  -
// Errors: 404 and 405 as the Kubernetes API gives them.
// Source: k8s API section 1.
#pragma once

#include "api/request.hpp"
#include "api/schema/registry.hpp"

#include <string>
#include <string_view>

namespace troupe::apiserver {

struct route {
  bool resource = false; // false: a non-resource path
  std::string group, version, ns, plural, name, subresource;
  std::string tail; // what follows a proxy subresource
  verb what = verb::get;
  bool old_watch = false; // the /watch/ prefix
};

/// Splits the path; `method` decides the verb. A path below /api/v1 or /apis/g/v names a resource.
route parse_route(std::string_view method, std::string_view path);

/// The RBAC verb of a call: connect subresources go by method.
std::string_view rbac_verb(const request& r, std::string_view method) noexcept;

/// The registry's entry for a request; sub is null for the resource itself.
struct target {
  const schema::resource* res = nullptr;
  const schema::subresource* sub = nullptr;
  const schema::resource* stored = nullptr; // the version objects are kept in
};
result<target> resolve(const request& r);

inline resource_name name_of(const schema::resource& r) { return {r.group, r.plural}; }

} // namespace troupe::apiserver
