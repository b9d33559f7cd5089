// dns_core: Services and EndpointSlices to DNS names; the documents of Service kube-system/kube-dns.
// Owner:  dns_actor; pure.
// Units:  -
// Errors: -
// Source: Kubernetes DNS-Based Service Discovery 1.1.0; kube-dns Service as kubeadm makes it.
#pragma once

#include "actors/proxy/service_index_core.hpp"
#include "net/dns/dns_table.hpp"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace troupe {

net::dns_service names_of(const service_key&, const service_view&, const service_index_core::slices&);

/// All names, remade only for Services that changed.
class dns_map_core {
public:
  service_index_core index;
  void put_namespace(const std::string& name);
  void remove_namespace(const std::string& name);
  void clear_namespaces();
  bool has_namespace(const std::string& name) const { return namespaces_.contains(name); }
  /// What changed since the last call.
  std::vector<net::dns_change> take_changes();
  /// Everything, for a server that starts.
  std::vector<net::dns_service> all() const;
  std::vector<std::string> namespaces() const { return {namespaces_.begin(), namespaces_.end()}; }

private:
  std::set<std::string> namespaces_;
  std::vector<net::dns_change> namespace_changes_;
};

namespace kube_dns {

inline const service_key key{"kube-system", "kube-dns"};

/// The slice of one node: its own DNS server.
std::string slice_name(const std::string& node);
json::value service_document(const std::string& service_address);
json::value slice_document(const std::string& node, const std::string& address, std::uint16_t port);

} // namespace kube_dns
} // namespace troupe
