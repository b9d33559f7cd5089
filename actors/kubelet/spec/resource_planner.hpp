// resource_planner: requests, limits and security context of a pod as the runtime wants them.
// Owner:  nobody; pure.
// Units:  cpu in milli-cores, memory in bytes; CFS shares and quota (µs per 100 ms).
// Errors: 400 with the sentence that becomes CreateContainerConfigError.
// Source: Kubernetes kubelet cm helpers (MilliCPUToShares, MilliCPUToQuota), qos policy (oom score).
#pragma once

#include "runtime/engine.hpp"

#include <string_view>

namespace troupe::kubelet {

std::int64_t milli_cpu_to_shares(std::int64_t milli) noexcept;   // at least 2, at most 262144
std::int64_t milli_cpu_to_quota_us(std::int64_t milli) noexcept; // 0: unlimited; at least 1000

/// `node_memory_bytes` scales the OOM score of Burstable containers.
runtime::resource_limits plan_container_limits(const json::value& container, std::string_view qos,
                                               std::int64_t node_memory_bytes);
runtime::resource_limits plan_pod_limits(const json::value& pod);

/// Pod and container security contexts merged; `image_user` is the image's USER, for runAsNonRoot.
result<runtime::security> plan_security(const json::value& pod, const json::value& container,
                                        std::string_view image_user);

} // namespace troupe::kubelet
