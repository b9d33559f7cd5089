// account_controllers: what every namespace is given: the ServiceAccount `default` and the ConfigMap kube-root-ca.crt.
// Owner:  manager_core.
// Units:  -
// Errors: -
// Source: Kubernetes serviceaccount controller and root-ca-cert-publisher.
#pragma once

#include "actors/controllers/controller.hpp"

#include <string>

namespace troupe::ctl {

class service_account_controller : public controller {
public:
  using controller::controller;
  void observe(const change& c, const cluster_cache& cache, sys_micros now) override;
  outcome reconcile(const std::string& key, const world& w) override;
};

class root_ca_controller : public controller {
public:
  root_ca_controller(std::string name, std::chrono::microseconds initial, std::chrono::microseconds max,
                     std::string ca_pem)
      : controller(std::move(name), initial, max), ca_pem_(std::move(ca_pem)) {}
  void observe(const change& c, const cluster_cache& cache, sys_micros now) override;
  outcome reconcile(const std::string& key, const world& w) override;

private:
  std::string ca_pem_;
};

} // namespace troupe::ctl
