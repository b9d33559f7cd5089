// network: addresses and wires for pods of one node: a bridge, a veth per pod, an address pool kept on disk.
// Owner:  thread-safe; calls take a few milliseconds (netlink) and are made from worker threads.
// Units:  IPv4 only for now; pool = the node's pod CIDR, first address is the bridge (gateway).
// Errors: status naming the missing privilege or kernel feature; pool exhaustion is 507.
// Source: CNI bridge and host-local plugins, done in-process with rtnetlink.
#pragma once

#include "api/status.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace troupe::net {

struct pod_network_config {
  std::string bridge;       // e.g. troupe-<id>, at most 15 characters
  std::string pod_cidr;     // 10.244.0.0/24
  std::string cluster_cidr; // 10.244.0.0/16: traffic to outside of it is masqueraded
  std::string service_cidr; // 10.96.0.0/12: routed to the bridge, so that a host without default route reaches it
  std::string state_file;   // address leases, survives restart
  std::string chain_prefix; // TROUPE-<ID>: chains or tables this makes for masquerade and forward
  int mtu = 1500;
};

class pod_network {
public:
  virtual ~pod_network() = default;
  /// Makes bridge, forwarding sysctls and masquerade rule; idempotent.
  virtual result<void> up() = 0;
  /// Gives the namespace at netns_path an address, eth0, lo and a default route; idempotent per pod uid.
  virtual result<std::string> attach(const std::string& pod_uid, const std::string& netns_path) = 0;
  virtual result<void> detach(const std::string& pod_uid) = 0;
  /// Address held by a pod, for adoption; empty when none.
  virtual std::string address(const std::string& pod_uid) = 0;
  /// Releases leases of pods not in the list (after restart).
  virtual void keep_only(const std::vector<std::string>& pod_uids) = 0;
  virtual std::string gateway() const = 0;
  virtual result<void> down() = 0; // removes bridge, veths and rules of this cluster
};

std::shared_ptr<pod_network> make_bridge_network(const pod_network_config&);

/// The host's own primary address (source address of the default route), for the Node's InternalIP; 127.0.0.1 if none.
std::string host_address();
/// Whether a device of this network namespace has the address.
bool is_own_address(const std::string& address);

} // namespace troupe::net
