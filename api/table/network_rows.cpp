#include "api/meta/object_meta.hpp"
#include "api/table/cells.hpp"

#include <algorithm>
#include <set>

namespace troupe::table {

namespace {

/// Addresses (or host names) of a load balancer, sorted, once each.
std::vector<std::string> ingress_points(const json::value& o) {
  std::set<std::string> out;
  for (const auto& p : jq::arr(o, {"status", "loadBalancer", "ingress"})) {
    const auto ip = jq::str(p, {"ip"});
    const auto text = ip.empty() ? jq::str(p, {"hostname"}) : ip;
    if (!text.empty()) out.emplace(text);
  }
  return {out.begin(), out.end()};
}

std::string external_address(const json::value& o) {
  const auto type = jq::str(o, {"spec", "type"});
  auto external = strings(jq::arr(o, {"spec", "externalIPs"}));
  if (type == "ClusterIP" || type == "NodePort") return external.empty() ? "<none>" : join(external, ",");
  if (type == "LoadBalancer") {
    auto all = ingress_points(o);
    all.insert(all.end(), external.begin(), external.end());
    return all.empty() ? "<pending>" : join(all, ",");
  }
  if (type == "ExternalName") return std::string{jq::str(o, {"spec", "externalName"})};
  return "<unknown>";
}

std::string service_ports(const json::value& o) {
  std::vector<std::string> out;
  for (const auto& p : jq::arr(o, {"spec", "ports"})) {
    auto text = std::to_string(jq::num(p, {"port"}));
    if (const auto node = jq::num(p, {"nodePort"}); node > 0) text += ":" + std::to_string(node);
    out.push_back(text.append("/").append(jq::str(p, {"protocol"})));
  }
  return out.empty() ? "<none>" : join(out, ",");
}

void service_row(row& r, const json::value& o) {
  const auto& ips = jq::arr(o, {"spec", "clusterIPs"});
  std::string_view ip = jq::str(o, {"spec", "clusterIP"});
  if (!ips.empty() && ips[0].is_string()) ip = jq::view(ips[0].get_string());
  r.name(o)
      .text(jq::str(o, {"spec", "type"}))
      .text(or_else(ip, "<none>"))
      .text(external_address(o))
      .text(service_ports(o))
      .age(o)
      .text(labels_text(jq::obj(o, {"spec", "selector"})));
}

void ingress_row(row& r, const json::value& o) {
  std::vector<std::string> hosts;
  for (const auto& rule : jq::arr(o, {"spec", "rules"}))
    if (const auto h = jq::str(rule, {"host"}); !h.empty()) hosts.emplace_back(h);
  r.name(o)
      .text(or_else(jq::str(o, {"spec", "ingressClassName"}), "<none>"))
      .text(hosts.empty() ? "*" : join_few(hosts, 3))
      .text(join(ingress_points(o), ","))
      .text(jq::arr(o, {"spec", "tls"}).empty() ? "80" : "80, 443")
      .age(o);
}

void ingress_class_row(row& r, const json::value& o) {
  std::string parameters = "<none>";
  if (const auto* p = jq::find(o, {"spec", "parameters"})) {
    parameters = jq::str(*p, {"kind"});
    if (const auto g = jq::str(*p, {"apiGroup"}); !g.empty()) parameters.append(".").append(g);
    parameters.append("/").append(jq::str(*p, {"name"}));
  }
  r.name(o).text(jq::str(o, {"spec", "controller"})).text(parameters).age(o);
}

std::string endpoint_text(std::string_view ip, const json::value* port) {
  std::string out{ip};
  if (!port) return out;
  if (ip.find(':') != ip.npos) out = "[" + out + "]";
  return out + ":" + std::to_string(jq::num(*port, {"port"}));
}

void endpoints_row(row& r, const json::value& o) {
  std::vector<std::string> out;
  for (const auto& subset : jq::arr(o, {"subsets"})) {
    const auto& ports = jq::arr(subset, {"ports"});
    const auto& addresses = jq::arr(subset, {"addresses"});
    if (ports.empty())
      for (const auto& a : addresses)
        out.push_back(endpoint_text(jq::str(a, {"ip"}), nullptr));
    for (const auto& p : ports)
      for (const auto& a : addresses)
        out.push_back(endpoint_text(jq::str(a, {"ip"}), &p));
  }
  const bool none = jq::arr(o, {"subsets"}).empty();
  r.name(o).text(none ? "<none>" : join_few(out, 3)).age(o);
}

void endpoint_slice_row(row& r, const json::value& o) {
  std::vector<std::string> ports, addresses;
  for (const auto& p : jq::arr(o, {"ports"})) {
    const auto n = jq::maybe_num(p, {"port"});
    ports.push_back(n ? std::to_string(*n) : std::string{or_else(jq::str(p, {"name"}), "*")});
  }
  for (const auto& e : jq::arr(o, {"endpoints"}))
    for (auto& a : strings(jq::arr(e, {"addresses"})))
      addresses.push_back(std::move(a));
  r.name(o)
      .text(jq::str(o, {"addressType"}))
      .text(ports.empty() ? "<unset>" : join_few(ports, 3))
      .text(addresses.empty() ? "<unset>" : join_few(addresses, 3))
      .age(o);
}

void network_policy_row(row& r, const json::value& o) {
  r.name(o).text(selector_text(jq::find(o, {"spec", "podSelector"}))).age(o);
}

constexpr row_rule rules[] = {
    {"", "services", service_row},
    {"", "endpoints", endpoints_row},
    {"discovery.k8s.io", "endpointslices", endpoint_slice_row},
    {"networking.k8s.io", "ingresses", ingress_row},
    {"networking.k8s.io", "ingressclasses", ingress_class_row},
    {"networking.k8s.io", "networkpolicies", network_policy_row},
};

} // namespace

std::span<const row_rule> network_rows() { return rules; }

} // namespace troupe::table
