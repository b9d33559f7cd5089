// patch: the three ways a client changes part of an object.
// Owner:  nobody; pure functions, inputs are not changed.
// Units:  a JSON patch has at most limits of 10000 operations.
// Errors: 400 malformed, 413 too many operations, 422 failed test or path; the texts kube-apiserver gives.
// Source: RFC 6902, RFC 7386, k8s API section 15 (strategic merge).
#pragma once

#include "api/schema/registry.hpp"
#include "api/status.hpp"

namespace troupe::patch {

inline constexpr std::size_t json_patch_operations_max = 10'000;

/// RFC 6902.
result<json::value> json_patch(const json::value& doc, const json::value& patch);
/// RFC 7386.
json::value merge_patch(const json::value& doc, const json::value& patch);
/// The smallest RFC 7386 patch that turns `from` into `to`.
json::value merge_diff(const json::value& from, const json::value& to);
/// Kubernetes strategic merge with every directive: $patch, $deleteFromPrimitiveList, $setElementOrder, $retainKeys.
result<json::value> strategic_merge_patch(const schema::type& t, const json::value& doc, const json::value& patch);

} // namespace troupe::patch
