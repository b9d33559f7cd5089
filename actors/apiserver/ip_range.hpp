// ip_range: the addresses services may have.
// Owner:  -; plain value.
// Units:  IPv4 addresses in host byte order.
// Errors: bad_request for text that is no IPv4 CIDR between /8 and /30.
// Source: Kubernetes --service-cluster-ip-range.
#pragma once

#include "api/status.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace troupe::apiserver {

struct ip_range {
  std::uint32_t first = 0; // network address; first + 1 belongs to default/kubernetes
  std::uint32_t size = 0;
  std::string text;

  static result<ip_range> parse(const std::string& cidr);
  static std::optional<std::uint32_t> parse_ip(std::string_view text);
  static std::string format(std::uint32_t ip);
  bool contains(std::uint32_t ip) const { return ip > first && ip < first + size - 1; }
  std::string first_service() const { return format(first + 1); }
};

} // namespace troupe::apiserver
