// service_index_core: Services and EndpointSlices as typed views, joined by Service; what changed since the last look.
// Owner:  proxy_actor and dns_actor, one each; pure.
// Units:  -
// Errors: malformed parts of a document count as absent (the API validated them).
// Source: kube-proxy ServiceChangeTracker and EndpointSliceCache.
#pragma once

#include "api/json.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe {

using service_key = std::pair<std::string, std::string>; // namespace, name

struct service_view {
  struct port {
    std::string name, protocol; // lower case
    std::uint16_t number = 0, node_port = 0;
  };
  std::string cluster_ip; // empty when headless or not assigned
  std::string external_name;
  bool headless = false;
  bool other_proxy = false;              // label service.kubernetes.io/service-proxy-name: not for us
  std::vector<std::string> external_ips; // with those of the load balancer
  std::vector<port> ports;
  int affinity_seconds = 0;
  bool internal_local = false, external_local = false;
  friend bool operator==(const service_view&, const service_view&) = default;
};
inline bool operator==(const service_view::port& a, const service_view::port& b) {
  return a.name == b.name && a.protocol == b.protocol && a.number == b.number && a.node_port == b.node_port;
}

struct slice_view {
  struct port {
    std::string name, protocol;
    std::uint16_t number = 0;
  };
  struct endpoint {
    std::string address, hostname, node;
    bool ready = true;
    bool closing = false; // serving and terminating: used when nobody is ready
  };
  service_key service;
  std::vector<port> ports;
  std::vector<endpoint> endpoints;
  friend bool operator==(const slice_view&, const slice_view&) = default;
};
inline bool operator==(const slice_view::port& a, const slice_view::port& b) {
  return a.name == b.name && a.protocol == b.protocol && a.number == b.number;
}
inline bool operator==(const slice_view::endpoint& a, const slice_view::endpoint& b) {
  return a.address == b.address && a.hostname == b.hostname && a.node == b.node && a.ready == b.ready &&
         a.closing == b.closing;
}

service_view read_service(const json::value& doc);
/// A slice that belongs to no Service or holds no IPv4 addresses has an empty service name.
slice_view read_slice(const json::value& doc);

class service_index_core {
public:
  using slices = std::map<std::string, slice_view>; // by slice name

  void put_service(const service_key&, service_view);
  void remove_service(const service_key&);
  void put_slice(const std::string& ns, const std::string& name, slice_view);
  void remove_slice(const std::string& ns, const std::string& name);
  /// Before a full state is put again: everything known counts as gone until it is put.
  void clear_services();
  void clear_slices();

  const service_view* find(const service_key&) const;
  const slices& slices_of(const service_key&) const;
  const std::map<service_key, service_view>& services() const noexcept { return services_; }
  /// Services whose own or whose slices' content changed since the last call.
  std::set<service_key> take_changed();
  bool changed() const noexcept { return !changed_.empty(); }

private:
  std::map<service_key, service_view> services_;
  std::map<service_key, slices> slices_;
  std::map<service_key, service_key> owner_of_slice_; // (namespace, slice name) -> Service
  std::set<service_key> changed_;
};

} // namespace troupe
