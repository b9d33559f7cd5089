#include "actors/proxy/proxy_core.hpp"

#include "actors/proxy/limits.hpp"

#include <algorithm>

namespace troupe {

namespace {

/// Endpoints of one port of the Service, over all its slices.
std::vector<net::service_endpoint> endpoints_of(const service_view::port& port,
                                                const service_index_core::slices& slices, const std::string& node) {
  std::vector<net::service_endpoint> ready, closing;
  for (const auto& [name, slice] : slices)
    for (const auto& p : slice.ports) {
      if (p.name != port.name || p.protocol != port.protocol) continue;
      for (const auto& e : slice.endpoints) {
        net::service_endpoint one{e.address, p.number, !node.empty() && e.node == node};
        if (e.ready)
          ready.push_back(std::move(one));
        else if (e.closing)
          closing.push_back(std::move(one));
      }
    }
  return ready.empty() ? closing : ready;
}

} // namespace

std::vector<net::service_port> rules_of(const service_key& key, const service_view& s,
                                        const service_index_core::slices& slices, const std::string& node) {
  std::vector<net::service_port> out;
  if (s.other_proxy || s.headless || !s.external_name.empty() || s.cluster_ip.empty()) return out;
  for (const auto& p : s.ports) {
    net::service_port r;
    r.ns = key.first;
    r.name = key.second;
    r.port_name = p.name;
    r.protocol = p.protocol;
    r.cluster_ip = s.cluster_ip;
    r.port = p.number;
    r.node_port = p.node_port;
    r.external_ips = s.external_ips;
    r.affinity_seconds = s.affinity_seconds;
    r.internal_local = s.internal_local;
    r.external_local = s.external_local;
    r.endpoints = endpoints_of(p, slices, node);
    out.push_back(std::move(r));
  }
  return out;
}

std::vector<net::service_port> service_map_core::compile() {
  for (const auto& key : index.take_changed()) {
    if (const auto* s = index.find(key))
      ready_[key] = rules_of(key, *s, index.slices_of(key), node_);
    else
      ready_.erase(key);
  }
  std::vector<net::service_port> out;
  endpoints_ = 0;
  for (const auto& [key, ports] : ready_)
    for (const auto& p : ports) {
      endpoints_ += p.endpoints.size();
      out.push_back(p);
    }
  return out;
}

apply_gate_core::effect apply_gate_core::start() {
  busy_ = true;
  dirty_ = false;
  return {true, std::nullopt, 0};
}

apply_gate_core::effect apply_gate_core::rest(std::chrono::milliseconds time) {
  resting_ = true;
  return {false, time, ++epoch_};
}

apply_gate_core::effect apply_gate_core::changed() {
  dirty_ = true;
  if (busy_ || resting_) return {};
  return start();
}

apply_gate_core::effect apply_gate_core::applied(bool ok, std::chrono::milliseconds cost) {
  busy_ = false;
  if (!ok) {
    dirty_ = true;
    auto doubled = limits::proxy_backoff_first * (1 << std::min(failures_, 5));
    ++failures_;
    return rest(std::min(doubled, limits::proxy_backoff_max));
  }
  failures_ = 0;
  if (cost >= limits::proxy_rest_min) return rest(std::min(cost, limits::proxy_rest_max));
  return dirty_ ? start() : effect{};
}

apply_gate_core::effect apply_gate_core::timer(std::uint64_t epoch) {
  if (epoch != epoch_ || !resting_) return {};
  resting_ = false;
  return dirty_ ? start() : effect{};
}

} // namespace troupe
