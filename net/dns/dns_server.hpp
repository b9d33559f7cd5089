// dns_server: cluster DNS over UDP and TCP: Services and pods from memory, other names forwarded upstream.
// Owner:  own thread; the table of names is changed by the dns actor, one Service at a time.
// Units:  TTL 5 s for cluster names; UDP answers over 512 bytes (or the EDNS size) are truncated with TC.
// Errors: NXDOMAIN, SERVFAIL, REFUSED as in RFC 1035; a malformed packet is dropped or answered FORMERR.
// Source: Kubernetes DNS-Based Service Discovery 1.1.0; RFC 1035, RFC 2782, RFC 6891.
#pragma once

#include "api/status.hpp"
#include "net/dns/dns_table.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace troupe::net {

struct dns_config {
  std::string domain = "cluster.local";
  std::string address;     // to listen on
  std::uint16_t port = 53; // 0: any free one
  std::string pod_cidr;    // cluster-wide; pod names (1-2-3-4.ns.pod) outside of it do not exist; empty: no check
  std::vector<std::string> upstreams;           // `a.b.c.d` or `a.b.c.d:port`; empty: resolv_conf, loops removed
  std::string service_address;                  // of the Service that leads here; never asked as an upstream
  std::string resolv_conf = "/etc/resolv.conf"; // read again when it changes
};

struct dns_counters {
  std::uint64_t queries = 0, cluster_answers = 0, forwarded = 0, forward_failures = 0, malformed = 0, dropped = 0;
};

class dns_server {
public:
  virtual ~dns_server() = default; // stops
  /// Changes the table under its lock; readers see all of it or nothing.
  virtual void update(const std::vector<dns_change>& changes) = 0;
  /// Replaces the whole table.
  virtual void replace(const std::vector<dns_service>& services, const std::vector<std::string>& namespaces) = 0;
  virtual std::uint16_t port() const = 0;
  virtual dns_counters counters() const = 0;
};

result<std::unique_ptr<dns_server>> start_dns_server(const dns_config&);

} // namespace troupe::net
