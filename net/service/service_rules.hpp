// service_rules: Services and their endpoints as values, compiled to packet rules; only the difference is loaded.
// Owner:  the proxy actor; `apply` blocks for milliseconds (worker thread).
// Units:  ports 1-65535; addresses as text; affinity in seconds.
// Errors: status with the loader's words and the rule at fault.
// Source: kube-proxy iptables and nftables modes.
#pragma once

#include "api/status.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace troupe::net {

struct service_endpoint {
  std::string address;
  std::uint16_t port = 0;
  bool local = false; // on this node
  friend bool operator==(const service_endpoint&, const service_endpoint&) = default;
};

struct service_port {
  std::string ns, name, port_name; // identity of the rule
  std::string protocol;            // tcp, udp, sctp
  std::string cluster_ip;          // empty: node port only
  std::uint16_t port = 0;
  std::uint16_t node_port = 0; // 0: none
  std::vector<std::string> external_ips;
  int affinity_seconds = 0;                            // 0: none (ClientIP otherwise)
  bool internal_local = false, external_local = false; // traffic policies Local
  std::vector<service_endpoint> endpoints;             // ready ones
  friend bool operator==(const service_port&, const service_port&) = default;
};

struct proxy_config {
  std::string cluster_id;   // in every chain and table name
  std::string cluster_cidr; // pod addresses, for masquerade decisions
  std::string service_cidr;
};

class service_proxy {
public:
  virtual ~service_proxy() = default;
  /// Makes the kernel match `wanted`; touches only rules that changed since the last call. The first call after a
  /// start reconciles against what the kernel holds.
  virtual result<void> apply(const std::vector<service_port>& wanted) = 0;
  virtual result<void> remove_all() = 0;
  virtual const char* mode() const noexcept = 0; // iptables, nftables
};

std::unique_ptr<service_proxy> make_iptables_proxy(const proxy_config&);
std::unique_ptr<service_proxy> make_nftables_proxy(const proxy_config&);
/// nftables where the kernel has it, else iptables.
std::unique_ptr<service_proxy> make_service_proxy(const proxy_config&,
                                                  std::string_view mode /* auto|iptables|nftables */);

} // namespace troupe::net
