// role_aggregation: keeps the rules of aggregated ClusterRoles equal to the union of the roles they select.
// Owner:  manager_core.
// Units:  -
// Errors: an unparsable selector selects nothing.
// Source: Kubernetes pkg/controller/clusterroleaggregation.
#pragma once

#include "actors/controllers/controller.hpp"

namespace troupe::ctl {

class role_aggregation : public controller {
public:
  using controller::controller;
  void observe(const change& c, const cluster_cache& cache, sys_micros now) override;
  outcome reconcile(const std::string& key, const world& w) override;
};

} // namespace troupe::ctl
