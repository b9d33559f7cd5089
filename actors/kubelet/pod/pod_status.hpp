// pod_status: the status of a pod as the API shows it, made from the pod core.
// Owner:  pod_actor; pure.
// Units:  instants are printed in whole seconds.
// Errors: -
// Source: Kubernetes core/v1 PodStatus; kubelet's status generation.
#pragma once

#include "actors/kubelet/pod/pod_core.hpp"

namespace troupe::kubelet {

/// `before` is the status published last (or the one in the API): it keeps transition times of unchanged conditions.
json::object build_status(const pod_core& core, const json::value& before, std::string_view host_ip, wall_time now);

/// The strategic merge patch from `before` to `after`; null when nothing differs. `uid` makes it conditional.
json::value status_patch(const json::value& before, const json::object& after, std::string_view uid);

/// Guaranteed, Burstable or BestEffort.
std::string qos_class(const json::value& pod);

} // namespace troupe::kubelet
