#include "actors/proxy/dns_core.hpp"

#include <algorithm>

namespace troupe {

net::dns_service names_of(const service_key& key, const service_view& s, const service_index_core::slices& slices) {
  net::dns_service out;
  out.ns = key.first;
  out.name = key.second;
  out.cluster_ip = s.headless ? "None" : s.cluster_ip;
  out.external_name = s.external_name;
  for (const auto& p : s.ports)
    out.ports.push_back({p.name, p.protocol, p.number});
  for (const auto& [name, slice] : slices) {
    auto ports = std::make_shared<std::vector<net::dns_port>>();
    for (const auto& p : slice.ports)
      ports->push_back({p.name, p.protocol, p.number});
    for (const auto& e : slice.endpoints)
      if (e.ready) out.endpoints.push_back({e.address, e.hostname, ports});
  }
  return out;
}

void dns_map_core::put_namespace(const std::string& name) {
  if (!namespaces_.insert(name).second) return;
  net::dns_change c;
  c.namespace_put = name;
  namespace_changes_.push_back(std::move(c));
}

void dns_map_core::remove_namespace(const std::string& name) {
  if (!namespaces_.erase(name)) return;
  net::dns_change c;
  c.namespace_removed = name;
  namespace_changes_.push_back(std::move(c));
}

void dns_map_core::clear_namespaces() {
  for (const auto& name : std::vector<std::string>(namespaces_.begin(), namespaces_.end()))
    remove_namespace(name);
}

std::vector<net::dns_change> dns_map_core::take_changes() {
  auto out = std::exchange(namespace_changes_, {});
  for (const auto& key : index.take_changed()) {
    net::dns_change c;
    if (const auto* s = index.find(key))
      c.put = names_of(key, *s, index.slices_of(key));
    else
      c.removed = key;
    out.push_back(std::move(c));
  }
  return out;
}

std::vector<net::dns_service> dns_map_core::all() const {
  std::vector<net::dns_service> out;
  for (const auto& [key, s] : index.services())
    out.push_back(names_of(key, s, index.slices_of(key)));
  return out;
}

namespace kube_dns {

std::string slice_name(const std::string& node) {
  auto out = "kube-dns-" + node;
  return out.size() > 253 ? out.substr(0, 253) : out;
}

json::value service_document(const std::string& service_address) {
  return {
      {"apiVersion", "v1"},
      {"kind", "Service"},
      {"metadata",
       {{"namespace", key.first},
        {"name", key.second},
        {"labels",
         {{"k8s-app", "kube-dns"}, {"kubernetes.io/cluster-service", "true"}, {"kubernetes.io/name", "TroupeDNS"}}}}},
      {"spec",
       {{"type", "ClusterIP"},
        {"clusterIP", service_address},
        {"clusterIPs", json::array{service_address}},
        {"ports", json::array{{{"name", "dns"}, {"protocol", "UDP"}, {"port", 53}, {"targetPort", 53}},
                              {{"name", "dns-tcp"}, {"protocol", "TCP"}, {"port", 53}, {"targetPort", 53}}}}}}};
}

json::value slice_document(const std::string& node, const std::string& address, std::uint16_t port) {
  return {{"apiVersion", "discovery.k8s.io/v1"},
          {"kind", "EndpointSlice"},
          {"metadata",
           {{"namespace", key.first},
            {"name", slice_name(node)},
            {"labels",
             {{"kubernetes.io/service-name", key.second}, {"endpointslice.kubernetes.io/managed-by", "dns.troupe"}}}}},
          {"addressType", "IPv4"},
          {"endpoints",
           json::array{{{"addresses", json::array{address}}, {"conditions", {{"ready", true}}}, {"nodeName", node}}}},
          {"ports", json::array{{{"name", "dns"}, {"protocol", "UDP"}, {"port", port}},
                                {{"name", "dns-tcp"}, {"protocol", "TCP"}, {"port", port}}}}};
}

} // namespace kube_dns
} // namespace troupe
