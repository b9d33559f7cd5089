// downward: what a pod may read about itself: fieldRef and resourceFieldRef.
// Owner:  nobody; pure.
// Units:  resources are divided by their divisor and rounded up, as whole numbers.
// Errors: bad_request naming the field that cannot be read.
// Source: Kubernetes downward API.
#pragma once

#include "api/status.hpp"

#include <string>
#include <string_view>

namespace troupe::kubelet {

/// What the kubelet knows beside the object.
struct pod_facts {
  std::string pod_ip, host_ip, node_name;
  std::int64_t node_cpu_milli = 0, node_memory_bytes = 0; // allocatable: stands in for an absent limit
};

/// `fieldPath` of an env entry or a downwardAPI file, e.g. metadata.labels['app'] or status.podIP.
result<std::string> read_field(const json::value& pod, std::string_view field_path, const pod_facts& facts);
/// `ref` is a ResourceFieldSelector; `container` names the one it speaks of when `ref` does not.
result<std::string> read_resource(const json::value& pod, const json::value& ref, std::string_view container,
                                  const pod_facts& facts);
/// The container (init or not) of that name, or null.
const json::value* find_container(const json::value& pod, std::string_view name) noexcept;

} // namespace troupe::kubelet
