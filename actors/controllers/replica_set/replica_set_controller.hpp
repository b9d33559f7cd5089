// replica_set_controller: feeds replica_set_core from the cache and keeps the slow start per ReplicaSet.
// Owner:  manager_core.
// Units:  batches of 1, 2, 4, … pods while creations succeed.
// Errors: see replica_set_core.hpp.
// Source: Kubernetes slowStartBatch.
#pragma once

#include "actors/controllers/controller.hpp"

#include <string>
#include <unordered_map>

namespace troupe::ctl {

class replica_set_controller : public controller {
public:
  using controller::controller;
  void observe(const change& c, const cluster_cache& cache, sys_micros now) override;
  outcome reconcile(const std::string& key, const world& w) override;
  void result(const std::string& key, const result_note& r) override;

private:
  struct start {
    std::size_t batch = 1;
    std::string error;
    bool failed = false;
  };
  std::unordered_map<std::string, start> starts_;
};

} // namespace troupe::ctl
