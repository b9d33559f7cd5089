// node_ipam_controller: gives every Node a network of its own (spec.podCIDR) out of the cluster's pod range.
// Owner:  controller_manager.
// Units:  networks of `bits` bits; the lowest free one is given, so that a Node made again mostly gets its old one.
// Errors: a full range becomes an event of the Node, and is tried again when a Node goes away.
// Source: Kubernetes node-ipam-controller (RangeAllocator).
#pragma once

#include "actors/controllers/controller.hpp"

#include <optional>
#include <set>

namespace troupe::ctl {

/// The first network of `bits` bits in `cluster_cidr` that overlaps none of `taken`; nothing when there is none. Pure.
std::optional<std::string> free_pod_cidr(std::string_view cluster_cidr, int bits, const std::set<std::string>& taken);

class node_ipam_controller final : public controller {
public:
  node_ipam_controller(std::string name, std::chrono::microseconds initial, std::chrono::microseconds max,
                       std::string cluster_cidr, int bits)
      : controller(std::move(name), initial, max), cluster_cidr_(std::move(cluster_cidr)), bits_(bits) {}

  void observe(const change& c, const cluster_cache& cache, sys_micros now) override;
  outcome reconcile(const std::string& key, const world& w) override;

private:
  const std::string cluster_cidr_;
  const int bits_;
  /// Given, but not seen in a Node yet: two Nodes that come together must not get the same one.
  std::map<std::string, std::string> promised_;
};

} // namespace troupe::ctl
