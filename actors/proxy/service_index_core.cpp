#include "actors/proxy/service_index_core.hpp"

#include <algorithm>
#include <cctype>

namespace troupe {

namespace {

std::string text(const json::value& v, std::initializer_list<std::string_view> path) {
  return std::string{jq::str(v, path)};
}

std::string lower(std::string_view in) {
  std::string out{in};
  for (auto& c : out)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::uint16_t port_number(const json::value& v, std::initializer_list<std::string_view> path) {
  auto n = jq::num(v, path);
  return n > 0 && n <= 65535 ? static_cast<std::uint16_t>(n) : std::uint16_t{0};
}

void add_once(std::vector<std::string>& list, std::string item) {
  if (!item.empty() && std::find(list.begin(), list.end(), item) == list.end()) list.push_back(std::move(item));
}

} // namespace

service_view read_service(const json::value& doc) {
  service_view out;
  auto type = jq::str(doc, {"spec", "type"});
  auto ip = jq::str(doc, {"spec", "clusterIP"});
  if (type == "ExternalName")
    out.external_name = text(doc, {"spec", "externalName"});
  else if (ip == "None")
    out.headless = true;
  else
    out.cluster_ip = ip;
  out.other_proxy = jq::find(doc, {"metadata", "labels", "service.kubernetes.io/service-proxy-name"}) != nullptr;
  for (const auto& p : jq::arr(doc, {"spec", "ports"}))
    out.ports.push_back({text(p, {"name"}), lower(jq::str(p, {"protocol"}, "TCP")), port_number(p, {"port"}),
                         port_number(p, {"nodePort"})});
  for (const auto& a : jq::arr(doc, {"spec", "externalIPs"}))
    if (const auto* s = a.if_string()) add_once(out.external_ips, std::string{jq::view(*s)});
  for (const auto& i : jq::arr(doc, {"status", "loadBalancer", "ingress"}))
    if (jq::str(i, {"ipMode"}, "VIP") == "VIP") add_once(out.external_ips, text(i, {"ip"}));
  if (jq::str(doc, {"spec", "sessionAffinity"}) == "ClientIP")
    out.affinity_seconds =
        static_cast<int>(jq::num(doc, {"spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"}, 10800));
  out.internal_local = jq::str(doc, {"spec", "internalTrafficPolicy"}) == "Local";
  out.external_local = jq::str(doc, {"spec", "externalTrafficPolicy"}) == "Local";
  return out;
}

slice_view read_slice(const json::value& doc) {
  slice_view out;
  auto service = jq::str(doc, {"metadata", "labels", "kubernetes.io/service-name"});
  if (service.empty() || jq::str(doc, {"addressType"}) != "IPv4") return out;
  out.service = {text(doc, {"metadata", "namespace"}), std::string{service}};
  for (const auto& p : jq::arr(doc, {"ports"}))
    if (auto n = port_number(p, {"port"}))
      out.ports.push_back({text(p, {"name"}), lower(jq::str(p, {"protocol"}, "TCP")), n});
  for (const auto& e : jq::arr(doc, {"endpoints"})) {
    slice_view::endpoint one;
    one.hostname = text(e, {"hostname"});
    one.node = text(e, {"nodeName"});
    one.ready = jq::flag(e, {"conditions", "ready"}, true); // unknown counts as ready
    bool terminating = jq::flag(e, {"conditions", "terminating"});
    one.closing = terminating && jq::flag(e, {"conditions", "serving"}, true);
    for (const auto& a : jq::arr(e, {"addresses"})) {
      const auto* s = a.if_string();
      if (!s) continue;
      one.address = jq::view(*s);
      out.endpoints.push_back(one);
    }
  }
  return out;
}

void service_index_core::put_service(const service_key& key, service_view v) {
  auto at = services_.find(key);
  if (at != services_.end() && at->second == v) return;
  services_[key] = std::move(v);
  changed_.insert(key);
}

void service_index_core::remove_service(const service_key& key) {
  if (services_.erase(key)) changed_.insert(key);
}

void service_index_core::put_slice(const std::string& ns, const std::string& name, slice_view v) {
  auto before = owner_of_slice_.find({ns, name});
  if (before != owner_of_slice_.end() && before->second != v.service) remove_slice(ns, name);
  if (v.service.second.empty()) return;
  owner_of_slice_[{ns, name}] = v.service;
  auto key = v.service;
  auto& held = slices_[key];
  auto at = held.find(name);
  if (at != held.end() && at->second == v) return;
  held[name] = std::move(v);
  changed_.insert(key);
}

void service_index_core::remove_slice(const std::string& ns, const std::string& name) {
  auto owner = owner_of_slice_.find({ns, name});
  if (owner == owner_of_slice_.end()) return;
  auto held = slices_.find(owner->second);
  if (held != slices_.end()) {
    held->second.erase(name);
    if (held->second.empty()) slices_.erase(held);
  }
  changed_.insert(owner->second);
  owner_of_slice_.erase(owner);
}

void service_index_core::clear_services() {
  for (const auto& [key, v] : services_)
    changed_.insert(key);
  services_.clear();
}

void service_index_core::clear_slices() {
  for (const auto& [key, v] : slices_)
    changed_.insert(key);
  slices_.clear();
  owner_of_slice_.clear();
}

const service_view* service_index_core::find(const service_key& key) const {
  auto at = services_.find(key);
  return at == services_.end() ? nullptr : &at->second;
}

const service_index_core::slices& service_index_core::slices_of(const service_key& key) const {
  static const slices none;
  auto at = slices_.find(key);
  return at == slices_.end() ? none : at->second;
}

std::set<service_key> service_index_core::take_changed() { return std::exchange(changed_, {}); }

} // namespace troupe
