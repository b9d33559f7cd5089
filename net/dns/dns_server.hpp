// dns_server: cluster DNS over UDP and TCP: Services and pods from memory, other names forwarded upstream.
// Owner:  own thread(s); the zone is replaced as an immutable value by the dns actor.
// Units:  TTL 5 s for cluster names; UDP answers over 512 bytes (or the EDNS size) are truncated with TC.
// Errors: NXDOMAIN, SERVFAIL, REFUSED as in RFC 1035; a malformed packet is dropped or answered FORMERR.
// Source: Kubernetes DNS-Based Service Discovery 1.1.0; RFC 1035, RFC 2782.
#pragma once

#include "api/status.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace troupe::net {

struct dns_port {
  std::string name, protocol; // tcp, udp
  std::uint16_t port = 0;
};
struct dns_endpoint {
  std::string address;
  std::string hostname; // or derived from the address (1-2-3-4)
  bool ready = true;
};
struct dns_service {
  std::string ns, name;
  std::string cluster_ip;    // empty or "None": headless
  std::string external_name; // CNAME
  std::vector<dns_port> ports;
  std::vector<dns_endpoint> endpoints; // of headless services
};
struct dns_zone {
  std::string domain = "cluster.local";
  std::vector<dns_service> services;
};

struct dns_config {
  std::string address;  // to listen on
  std::uint16_t port = 53;
  std::vector<std::string> upstreams; // empty: taken from the host's resolv.conf, loops removed
};

class dns_server {
public:
  virtual ~dns_server() = default; // stops
  virtual void publish(std::shared_ptr<const dns_zone>) = 0;
  virtual std::uint16_t port() const = 0;
};

result<std::unique_ptr<dns_server>> start_dns_server(const dns_config&);

} // namespace troupe::net
