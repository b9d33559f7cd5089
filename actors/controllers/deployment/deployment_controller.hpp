// deployment_controller: feeds deployment_core from the cache.
// Owner:  manager_core.
// Units:  -
// Errors: see deployment_core.hpp.
// Source: Kubernetes pkg/controller/deployment.
#pragma once

#include "actors/controllers/controller.hpp"

namespace troupe::ctl {

class deployment_controller : public controller {
public:
  using controller::controller;
  void observe(const change& c, const cluster_cache& cache, sys_micros now) override;
  outcome reconcile(const std::string& key, const world& w) override;
};

} // namespace troupe::ctl
