#include "net/service/stale_flows.hpp"

#include "net/packet/address.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace troupe::net {

namespace {

using key = std::tuple<std::string, std::string, std::string>;

std::map<key, const service_port*> udp_only(const std::vector<service_port>& all) {
  std::map<key, const service_port*> out;
  for (const auto& s : all)
    if (s.protocol == "udp") out[{s.ns, s.name, s.port_name}] = &s;
  return out;
}

/// One entry per address at which the Service is reached.
void at_each_address(const service_port& s, std::uint32_t backend, std::uint16_t backend_port,
                     std::vector<stale_flow>& out) {
  if (auto a = parse_ipv4(s.cluster_ip)) out.push_back({*a, s.port, backend, backend_port, {}});
  for (const auto& text : s.external_ips)
    if (auto a = parse_ipv4(text)) out.push_back({*a, s.port, backend, backend_port, {}});
  if (s.node_port != 0) out.push_back({0, s.node_port, backend, backend_port, {}});
}

std::vector<std::pair<std::uint32_t, std::uint16_t>> addresses_of(const service_port& s) {
  std::vector<std::pair<std::uint32_t, std::uint16_t>> out;
  for (const auto& e : s.endpoints)
    if (auto a = parse_ipv4(e.address)) out.emplace_back(*a, e.port);
  return out;
}

} // namespace

std::vector<stale_flow> stale_flows_between(const std::vector<service_port>& before,
                                            const std::vector<service_port>& after, bool first) {
  std::vector<stale_flow> out;
  auto old = udp_only(before), fresh = udp_only(after);
  for (const auto& [name, was] : old) {
    auto now = fresh.find(name);
    for (const auto& e : was->endpoints) {
      auto stays =
          now != fresh.end() && std::any_of(now->second->endpoints.begin(), now->second->endpoints.end(),
                                            [&](const auto& x) { return x.address == e.address && x.port == e.port; });
      if (auto a = parse_ipv4(e.address); a && !stays) at_each_address(*was, *a, e.port, out);
    }
  }
  for (const auto& [name, now] : fresh) {
    auto was = old.find(name);
    bool had = was != old.end() && !was->second->endpoints.empty();
    if (now->endpoints.empty() || (!first && had)) continue;
    auto from = out.size();
    at_each_address(*now, 0, 0, out);
    if (!first) continue;
    auto live = addresses_of(*now);
    for (auto i = from; i < out.size(); ++i)
      out[i].unless = live;
  }
  return out;
}

} // namespace troupe::net
