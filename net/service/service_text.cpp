#include "net/service/service_text.hpp"

#include "net/packet/address.hpp"

#include <algorithm>
#include <set>
#include <tuple>

namespace troupe::net {

namespace {

std::uint64_t fnv(std::string_view text, std::uint64_t h) noexcept {
  for (unsigned char c : text)
    h = (h ^ c) * 1099511628211u;
  h ^= h >> 32; // the low bits of FNV mix poorly
  return h * 0x9e3779b97f4a7c15u;
}

bool ok(const service_endpoint& e) { return e.port != 0 && parse_ipv4(e.address); }

bool known_protocol(std::string_view p) { return p == "tcp" || p == "udp" || p == "sctp"; }

} // namespace

std::string identity_of(const service_port& s) {
  auto out = s.ns + '/' + s.name;
  if (!s.port_name.empty()) out += ':' + s.port_name;
  std::erase_if(out, [](unsigned char c) { return c < ' ' || c == '"' || c == '\\' || c > '~'; });
  return out;
}

std::string short_hash(std::string_view text, std::size_t characters) {
  std::string out;
  auto h = fnv(text, 1469598103934665603u);
  for (std::size_t i = 0; i < characters; ++i, h >>= 5) {
    if (i == 12) h = fnv(text, 0x84222325cbf29ce4u);
    out += "abcdefghijklmnopqrstuvwxyz234567"[h & 31];
  }
  return out;
}

std::string fingerprint_of(const std::vector<std::string>& rules) {
  std::string all;
  for (const auto& r : rules)
    all += r + '\n';
  return short_hash(all, 12) + std::to_string(rules.size());
}

std::vector<service_endpoint> local_only(const std::vector<service_endpoint>& all) {
  std::vector<service_endpoint> out;
  for (const auto& e : all)
    if (e.local) out.push_back(e);
  return out;
}

std::vector<service_endpoint> internal_endpoints(const service_port& s) {
  return s.internal_local ? local_only(s.endpoints) : s.endpoints;
}

std::vector<service_endpoint> external_endpoints(const service_port& s) {
  return s.external_local ? local_only(s.endpoints) : s.endpoints;
}

std::vector<service_port> usable(const std::vector<service_port>& all) {
  std::vector<service_port> out;
  for (const auto& s : all) {
    if (!known_protocol(s.protocol) || (s.port == 0 && s.node_port == 0)) continue;
    auto& kept = out.emplace_back(s);
    if (kept.port == 0 || !parse_ipv4(kept.cluster_ip)) kept.cluster_ip.clear();
    std::erase_if(kept.external_ips, [&](const auto& a) { return kept.port == 0 || !parse_ipv4(a); });
    std::erase_if(kept.endpoints, [](const auto& e) { return !ok(e); });
    std::sort(kept.endpoints.begin(), kept.endpoints.end(),
              [](const auto& a, const auto& b) { return std::tie(a.address, a.port) < std::tie(b.address, b.port); });
    auto twin = [](const auto& a, const auto& b) { return a.address == b.address && a.port == b.port; };
    kept.endpoints.erase(std::unique(kept.endpoints.begin(), kept.endpoints.end(), twin), kept.endpoints.end());
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return std::tie(a.ns, a.name, a.port_name, a.protocol) < std::tie(b.ns, b.name, b.port_name, b.protocol);
  });
  std::set<std::tuple<std::string, std::uint16_t, std::string>> taken;
  auto first = [&](const std::string& address, std::uint16_t port, const std::string& protocol) {
    return taken.emplace(address, port, protocol).second;
  };
  for (auto& s : out) {
    if (!s.cluster_ip.empty() && !first(s.cluster_ip, s.port, s.protocol)) s.cluster_ip.clear();
    std::erase_if(s.external_ips, [&](const auto& a) { return !first(a, s.port, s.protocol); });
    if (s.node_port != 0 && !first("node", s.node_port, s.protocol)) s.node_port = 0;
  }
  std::erase_if(out, [](const auto& s) { return s.cluster_ip.empty() && s.external_ips.empty() && s.node_port == 0; });
  return out;
}

} // namespace troupe::net
