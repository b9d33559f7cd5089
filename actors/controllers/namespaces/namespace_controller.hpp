// namespace_controller: empties a namespace that is being deleted, says what holds it, then lets it go.
// Owner:  manager_core.
// Units:  at most limits::deletions_per_look_max deletions per look.
// Errors: content that stays (finalizers) is told in the conditions.
// Source: Kubernetes pkg/controller/namespace/deletion. Reads the live view: a cache that lags must not miss content.
#pragma once

#include "actors/controllers/controller.hpp"

#include <set>
#include <string>

namespace troupe::ctl {

class namespace_controller : public controller {
public:
  using controller::controller;
  void observe(const change& c, const cluster_cache& cache, sys_micros now) override;
  outcome reconcile(const std::string& key, const world& w) override;

private:
  std::set<std::string, std::less<>> dying_;
};

} // namespace troupe::ctl
