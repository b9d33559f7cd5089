#include "net/packet/device.hpp"

#include "net/packet/host_error.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

namespace troupe::net {

mac_address mac_of(std::uint32_t address) {
  return {0x0a,
          0x58,
          static_cast<std::uint8_t>(address >> 24),
          static_cast<std::uint8_t>(address >> 16),
          static_cast<std::uint8_t>(address >> 8),
          static_cast<std::uint8_t>(address)};
}

std::string device_name(const std::string& bridge, const std::string& owner) {
  std::uint64_t hash = 1469598103934665603u; // FNV-1a, the same in every build
  for (unsigned char c : bridge + '/' + owner)
    hash = (hash ^ c) * 1099511628211u;
  std::string out = "troupe";
  for (int i = 0; i < 9; ++i, hash /= 36)
    out += "0123456789abcdefghijklmnopqrstuvwxyz"[hash % 36];
  return out;
}

result<void> write_sysctl(const std::string& key, const char* value) {
  auto path = "/proc/sys/" + key;
  if (std::ifstream in{path}) {
    std::string now;
    in >> now;
    if (now == value) return {};
  }
  std::ofstream out{path};
  out << value << std::flush;
  if (!out) return host_error("cannot set " + path + " to " + value + ": " + std::strerror(errno));
  return {};
}

} // namespace troupe::net
