// template_hash: the stable name of a pod template, and whether two templates are the same.
// Owner:  -; pure.
// Units:  a 32-bit hash in the 27 letters of safe names.
// Errors: -
// Source: Kubernetes ComputeHash; ours: over canonical JSON (sorted keys), so that key order never matters.
#pragma once

#include "api/json.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace troupe::ctl {

std::string template_hash(const json::value& pod_template, std::optional<std::int64_t> collisions);
/// Equal but for the pod-template-hash label.
bool same_template(const json::value& a, const json::value& b);
/// Serialization with sorted keys; nulls and empty objects left out.
std::string canonical(const json::value& v);

} // namespace troupe::ctl
