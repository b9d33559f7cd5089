// endpoints_controllers: feed endpoints_core from the cache; one controller writes EndpointSlices, one Endpoints.
// Owner:  manager_core.
// Units:  -
// Errors: -
// Source: Kubernetes endpointslice and endpoints controllers. Services without a selector are left to their owner.
#pragma once

#include "actors/controllers/controller.hpp"

#include <map>
#include <set>
#include <string>

namespace troupe::ctl {

class endpoints_controller : public controller {
public:
  enum class writes : std::uint8_t { slices, endpoints };
  endpoints_controller(std::string name, std::chrono::microseconds initial, std::chrono::microseconds max, writes what)
      : controller(std::move(name), initial, max), what_(what) {}
  void observe(const change& c, const cluster_cache& cache, sys_micros now) override;
  void all_synced(const cluster_cache& cache, sys_micros now) override;
  outcome reconcile(const std::string& key, const world& w) override;

private:
  void observe_service(const change& c, const cluster_cache& cache);
  void observe_pod(const change& c, const cluster_cache& cache);

  writes what_;
  std::map<std::string, std::set<std::string>> members_; // service key -> names of the pods it selects
  std::set<std::string> gone_;                           // deleted Services whose Endpoints are to go
};

} // namespace troupe::ctl
