// node_lifecycle_controller: hears nodes (Leases, status) and applies node_lifecycle_core; pods of lost nodes go.
// Owner:  manager_core.
// Units:  seconds as options say.
// Errors: -
// Source: Kubernetes pkg/controller/nodelifecycle and podgc. A sign of life counts from when it was seen here, so that
//         clocks of other machines do not matter.
#pragma once

#include "actors/controllers/controller.hpp"

#include <chrono>
#include <string>
#include <unordered_map>

namespace troupe::ctl {

struct node_lifecycle_options {
  std::chrono::seconds grace{40}, startup_grace{60}, orphan_quarantine{40};
};

class node_lifecycle_controller : public controller {
public:
  node_lifecycle_controller(std::string name, std::chrono::microseconds initial, std::chrono::microseconds max,
                            node_lifecycle_options o)
      : controller(std::move(name), initial, max), options_(o) {}
  void observe(const change& c, const cluster_cache& cache, sys_micros now) override;
  outcome reconcile(const std::string& key, const world& w) override;

private:
  struct life {
    sys_micros heard{};
    std::string renewed, beat;
    bool announced = false;
    std::optional<sys_micros> missing_since; // pods are bound to it but there is no Node
  };
  outcome without_node(const std::string& key, const world& w);

  node_lifecycle_options options_;
  std::unordered_map<std::string, life> lives_;
};

} // namespace troupe::ctl
