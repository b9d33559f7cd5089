#include "actors/apiserver/ip_range.hpp"

#include <arpa/inet.h>

#include <charconv>

namespace troupe::apiserver {

std::optional<std::uint32_t> ip_range::parse_ip(std::string_view text) {
  in_addr a{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &a) != 1) return std::nullopt;
  return ntohl(a.s_addr);
}

std::string ip_range::format(std::uint32_t ip) {
  char text[INET_ADDRSTRLEN] = "";
  in_addr a{};
  a.s_addr = htonl(ip);
  inet_ntop(AF_INET, &a, text, sizeof text);
  return text;
}

result<ip_range> ip_range::parse(const std::string& cidr) {
  const auto slash = cidr.find('/');
  const auto refused = [&] {
    return errors::bad_request("service CIDR \"" + cidr + "\" is no IPv4 range such as 10.96.0.0/16 (prefix 8 to 30)");
  };
  if (slash == std::string::npos) return refused();
  const auto ip = parse_ip(std::string_view(cidr).substr(0, slash));
  int bits = 0;
  const auto* end = cidr.data() + cidr.size();
  const auto r = std::from_chars(cidr.data() + slash + 1, end, bits);
  if (!ip || r.ec != std::errc{} || r.ptr != end || bits < 8 || bits > 30) return refused();
  ip_range out;
  out.size = 1u << (32 - bits);
  out.first = *ip & ~(out.size - 1);
  out.text = cidr;
  return out;
}

} // namespace troupe::apiserver
