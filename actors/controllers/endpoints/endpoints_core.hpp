// endpoints_core: which endpoints a Service has, as EndpointSlices and as the older Endpoints object.
// Owner:  the two controllers below; pure.
// Units:  at most limits::slice_endpoints_max endpoints per slice.
// Errors: a pod without the named target port is left out of that port.
// Source: Kubernetes endpointslice reconciler and endpoints controller.
//
// Endpoints keep their slice: only those that vanish are taken out and newcomers fill the gaps, so that a change of
// one pod writes one slice.
#pragma once

#include "actors/controllers/action.hpp"
#include "actors/controllers/cluster_cache.hpp"

#include <string>
#include <vector>

namespace troupe::ctl {

struct endpoints_input {
  const item& service;
  std::vector<item_ptr> pods;   // matching the selector
  std::vector<item_ptr> slices; // existing ones of this controller
  item_ptr endpoints;           // existing Endpoints object, or null
  /// The Node's topology zone, or empty.
  std::function<std::string(const std::string& node)> zone;
};

outcome endpoint_slices_look(const endpoints_input& in);
outcome endpoints_look(const endpoints_input& in);

} // namespace troupe::ctl
