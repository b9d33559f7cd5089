// upstreams: the name servers that foreign names are asked of: configured ones, or those of the host's resolv.conf.
// Owner:  dns_server, on its thread.
// Units:  at most limits::dns_upstreams_max.
// Errors: an unreadable file leaves none: foreign names get SERVFAIL.
// Source: resolv.conf(5); ours: an upstream that is this server itself is left out, or queries would go in circles.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::net {

struct upstream {
  std::string address;
  std::uint16_t port = 53;
  friend bool operator==(const upstream&, const upstream&) = default;
};

/// `nameserver` lines with an IPv4 address, in order (pure).
std::vector<upstream> parse_resolv_conf(std::string_view text);
/// `a.b.c.d` or `a.b.c.d:port`; anything else is left out (pure).
std::vector<upstream> parse_upstreams(const std::vector<std::string>& texts);
/// Without the server's own address and port (pure).
std::vector<upstream> without_loops(std::vector<upstream> all, const std::vector<upstream>& own);

class upstream_list {
public:
  upstream_list(std::vector<std::string> configured, std::string resolv_conf, std::vector<upstream> own);
  /// Looks at the file again when the last look is old enough and the file has changed.
  const std::vector<upstream>& current(std::chrono::steady_clock::time_point now);

private:
  void read();
  bool fixed_;
  std::string path_;
  std::vector<upstream> own_, list_;
  std::chrono::steady_clock::time_point looked_{};
  timespec changed_{};
};

} // namespace troupe::net
