#include "net/pod/network.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

namespace troupe::net {

namespace {

std::string text_of(const in_addr& a) {
  char out[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &a, out, sizeof out);
  return out;
}

/// The kernel's choice of source address towards a public address; connecting a UDP socket sends nothing.
std::string by_default_route() {
  int s = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (s < 0) return {};
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(53);
  inet_pton(AF_INET, "1.1.1.1", &to.sin_addr);
  sockaddr_in own{};
  socklen_t size = sizeof own;
  std::string out;
  if (::connect(s, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 &&
      ::getsockname(s, reinterpret_cast<sockaddr*>(&own), &size) == 0)
    out = text_of(own.sin_addr);
  ::close(s);
  return out;
}

/// Bridges of ours and other container bridges are not how others reach this host.
bool is_virtual(std::string_view name) {
  for (std::string_view prefix : {"troupe", "docker", "br-", "virbr", "cni", "veth", "kube"})
    if (name.starts_with(prefix)) return true;
  return false;
}

std::string by_first_device() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return {};
  std::string out;
  for (auto* i = all; i && out.empty(); i = i->ifa_next) {
    if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET) continue;
    if ((i->ifa_flags & IFF_LOOPBACK) || !(i->ifa_flags & IFF_UP) || is_virtual(i->ifa_name)) continue;
    out = text_of(reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr);
  }
  ::freeifaddrs(all);
  return out;
}

} // namespace

bool is_own_address(const std::string& address) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return false;
  bool found = false;
  for (auto* i = all; i && !found; i = i->ifa_next)
    found = i->ifa_addr && i->ifa_addr->sa_family == AF_INET &&
            text_of(reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr) == address;
  ::freeifaddrs(all);
  return found;
}

std::string host_address() {
  if (auto a = by_default_route(); !a.empty() && a != "0.0.0.0") return a;
  if (auto a = by_first_device(); !a.empty()) return a;
  return "127.0.0.1";
}

} // namespace troupe::net
