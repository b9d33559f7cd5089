// patch_body: a patch as it was sent, for objects and for the Scale subresource.
// Owner:  -; pure.
// Units:  -
// Errors: 415 for other types, 400 for malformed ones.
// Source: k8s API section 15.
#pragma once

#include "api/request.hpp"
#include "api/schema/registry.hpp"

namespace troupe::apiserver {

enum class patch_kind : unsigned char { json, merge, strategic };
struct patch_body {
  patch_kind how = patch_kind::merge;
  json::value doc;
  std::vector<std::string> duplicates;
};
result<patch_body> read_patch(const request& r);
result<json::value> apply_patch(const patch_body& p, const schema::type& t, const json::value& doc);

} // namespace troupe::apiserver
