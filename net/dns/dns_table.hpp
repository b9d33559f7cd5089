// dns_table: the names of Services, their endpoints and pods as a hash index; a lookup costs one or two probes.
// Owner:  dns_server, under its lock; no thread or socket here.
// Units:  names in lower case without the final dot.
// Errors: answer::nxdomain, or an empty answer where the name exists with other types (NODATA).
// Source: Kubernetes DNS-Based Service Discovery 1.1.0 sections 2.2-2.4; CoreDNS kubernetes plugin where it is silent.
//
// Example, Service web/ns (ClusterIP 10.96.0.7, port http 80/TCP):
//   web.ns.svc.cluster.local             A 10.96.0.7;  SRV 80 web.ns.svc…
//   _http._tcp.web.ns.svc.cluster.local  SRV 80 web.ns.svc…
//   ns.svc.cluster.local                 exists without records (NODATA), as it has names below
//   7.0.96.10.in-addr.arpa               PTR web.ns.svc…
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace troupe::net {

struct dns_port {
  std::string name, protocol; // protocol: tcp, udp, sctp (any case)
  std::uint16_t port = 0;
};
struct dns_endpoint {
  std::string address;
  std::string hostname;                               // empty: derived from the address (1-2-3-4)
  std::shared_ptr<const std::vector<dns_port>> ports; // of the slice it came from
};
struct dns_service {
  std::string ns, name;
  std::string cluster_ip;              // empty or "None": headless
  std::string external_name;           // CNAME
  std::vector<dns_port> ports;         // of the Service
  std::vector<dns_endpoint> endpoints; // the ready ones
  bool headless() const noexcept { return cluster_ip.empty() || cluster_ip == "None"; }
};

/// One step of change; exactly one member is set.
struct dns_change {
  std::optional<dns_service> put;
  std::optional<std::pair<std::string, std::string>> removed; // namespace, name
  std::optional<std::string> namespace_put, namespace_removed;
};

enum class dns_type : std::uint16_t {
  a = 1,
  ns = 2,
  cname = 5,
  soa = 6,
  ptr = 12,
  txt = 16,
  aaaa = 28,
  srv = 33,
  any = 255
};

struct dns_record {
  std::string name; // owner
  dns_type type = dns_type::a;
  std::uint32_t address = 0;  // A, host byte order
  std::string target;         // CNAME, PTR, SRV
  std::uint16_t port = 0;     // SRV
  std::uint16_t weight = 100; // SRV
};

struct dns_answer {
  enum class kind { found, nodata, nxdomain, not_ours } what = kind::not_ours;
  std::vector<dns_record> records, additional;
};

class dns_table {
public:
  explicit dns_table(std::string domain = "cluster.local", std::string_view pod_cidr = {});

  void put(const dns_service&);
  void remove(const std::string& ns, const std::string& name);
  void put_namespace(const std::string& ns);
  void remove_namespace(const std::string& ns);
  void apply(const dns_change&);
  void clear();

  /// `name` in lower case without final dot.
  dns_answer lookup(std::string_view name, dns_type type) const;
  const std::string& domain() const noexcept { return domain_; }
  std::size_t services() const noexcept { return services_.size(); }

private:
  struct entry;
  using entry_ptr = std::shared_ptr<const entry>;
  struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
  };
  template <class T>
  using text_map = std::unordered_map<std::string, T, text_hash, std::equal_to<>>;

  dns_answer lookup_service(std::string_view labels, std::string_view full, dns_type type) const;
  dns_answer lookup_pod(std::string_view labels, std::string_view full, dns_type type) const;
  dns_answer lookup_reverse(std::string_view name, dns_type type) const;
  void forget(const std::string& key);

  std::string domain_, dotted_; // "cluster.local", ".cluster.local"
  std::uint32_t pods_base_ = 0;
  int pods_length_ = 0;
  bool pods_checked_ = false;
  text_map<entry_ptr> services_;       // "name.ns"
  text_map<std::uint32_t> namespaces_; // name -> references: 1 for the object itself, 1 per Service in it
  std::unordered_multimap<std::uint32_t, std::string> reverse_; // address -> full name
};

} // namespace troupe::net
