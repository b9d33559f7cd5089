// Service, Endpoints, EndpointSlice, Ingress, IngressClass, NetworkPolicy.
#include "api/kinds/rules.hpp"

#include <set>

namespace troupe::kinds {

namespace {

constexpr std::string_view ip_fault = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

void check_endpoints(field_errors& e, const json::value& obj) {
  const auto& subsets = jq::arr(obj, {"subsets"});
  for (std::size_t i = 0; i < subsets.size(); ++i) {
    const auto here = index("subsets", i);
    const auto& s = subsets[i];
    if (jq::arr(s, {"addresses"}).empty() && jq::arr(s, {"notReadyAddresses"}).empty())
      e.push_back(field::required(here, "must specify `addresses` or `notReadyAddresses`"));
    for (auto list : {"addresses", "notReadyAddresses"}) {
      const auto& a = jq::arr(s, {list});
      for (std::size_t j = 0; j < a.size(); ++j)
        if (const auto ip = jq::str(a[j], {"ip"}); !ip.empty() && !names::is_ip(ip))
          e.push_back(field::invalid(index(here + "." + list, j) + ".ip", text(ip), ip_fault));
    }
    const auto& ports = jq::arr(s, {"ports"});
    for (std::size_t j = 0; j < ports.size(); ++j) {
      const auto where = index(here + ".ports", j);
      const auto name = jq::str(ports[j], {"name"});
      if (name.empty() && ports.size() > 1) e.push_back(field::required(where + ".name"));
      if (!name.empty()) check_name(e, where + ".name", name, names::dns1123_label(name));
      check_port(e, jq::num(ports[j], {"port"}), where + ".port");
    }
  }
}

void check_endpoint_slice(field_errors& e, const json::value& obj) {
  constexpr std::size_t endpoints_max = 1000, addresses_max = 100, ports_max = 20000;
  const auto family = jq::str(obj, {"addressType"});
  const auto& endpoints = jq::arr(obj, {"endpoints"});
  if (endpoints.size() > endpoints_max) e.push_back(field::too_many("endpoints", endpoints.size(), endpoints_max));
  for (std::size_t i = 0; i < endpoints.size() && i <= endpoints_max; ++i) {
    const auto& list = jq::arr(endpoints[i], {"addresses"});
    if (list.size() > addresses_max)
      e.push_back(field::too_many(index("endpoints", i) + ".addresses", list.size(), addresses_max));
    for (std::size_t j = 0; j < list.size() && j <= addresses_max; ++j) {
      const auto s = list[j].is_string() ? jq::view(list[j].get_string()) : std::string_view{};
      const auto here = [&] { return index(index("endpoints", i) + ".addresses", j); };
      if (family == "IPv4" && !names::is_ipv4(s))
        e.push_back(field::invalid(here(), list[j], "must be a valid IPv4 address"));
      if (family == "IPv6" && !names::is_ipv6(s))
        e.push_back(field::invalid(here(), list[j], "must be a valid IPv6 address"));
      if (family == "FQDN") check_name(e, here(), s, names::dns1123_subdomain(s));
    }
  }
  const auto& ports = jq::arr(obj, {"ports"});
  if (ports.size() > ports_max) e.push_back(field::too_many("ports", ports.size(), ports_max));
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto name = jq::str(ports[i], {"name"});
    const auto here = index("ports", i);
    if (!name.empty() && !names::is_dns1123_label(name))
      check_name(e, here + ".name", name, names::dns1123_label(name));
    if (!seen.insert(name).second) e.push_back(field::duplicate(here + ".name", text(name)));
    if (const auto n = jq::maybe_num(ports[i], {"port"})) check_port(e, *n, here + ".port");
  }
}

void check_backend(field_errors& e, const json::value& b, const std::string& path) {
  const auto* service = jq::find(b, {"service"});
  const auto* resource = jq::find(b, {"resource"});
  if (service && resource) {
    e.push_back(field::invalid(path, "", "cannot set both resource and service backends"));
    return;
  }
  if (!service && !resource) {
    e.push_back(field::required(path, "resource or service backend is required"));
    return;
  }
  if (!service) return;
  const auto name = jq::str(*service, {"name"});
  if (name.empty())
    e.push_back(field::required(path + ".service.name"));
  else
    check_name(e, path + ".service.name", name, names::dns1035_label(name));
  const auto port_name = jq::str(*service, {"port", "name"});
  const auto number = jq::num(*service, {"port", "number"});
  if (!port_name.empty() && number != 0)
    e.push_back(field::invalid(path, "", "cannot set both port name & port number"));
  else if (!port_name.empty())
    check_name(e, path + ".service.port.name", port_name, names::port_name(port_name));
  else if (number != 0)
    check_port(e, number, path + ".service.port.number");
  else
    e.push_back(field::required(path, "port name or number is required"));
}

void check_ingress_path(field_errors& e, const json::value& p, const std::string& path) {
  const auto type = jq::str(p, {"pathType"}), url = jq::str(p, {"path"});
  if (type == "Exact" || type == "Prefix") {
    if (!url.starts_with('/'))
      e.push_back(field::invalid(path + ".path", text(url), "must be an absolute path"));
    else
      for (auto bad : {"//", "/./", "/../", "%2f", "%2F"})
        if (url.find(bad) != url.npos)
          e.push_back(field::invalid(path + ".path", text(url), std::string{"must not contain '"} + bad + "'"));
  } else if (!url.empty() && !url.starts_with('/')) {
    e.push_back(field::invalid(path + ".path", text(url), "must be an absolute path"));
  }
  check_backend(e, at(p, {"backend"}), path + ".backend");
}

void check_host(field_errors& e, std::string_view host, const std::string& path) {
  if (host.empty()) return;
  if (names::is_ip(host)) {
    e.push_back(field::invalid(path, text(host), "must be a DNS name, not an IP address"));
    return;
  }
  if (host.starts_with("*.")) host.remove_prefix(2);
  check_name(e, path, host, names::dns1123_subdomain(host));
}

void check_ingress(field_errors& e, const json::value& obj) {
  const auto& spec = at(obj, {"spec"});
  const auto& rules = jq::arr(spec, {"rules"});
  const auto* fallback = jq::find(spec, {"defaultBackend"});
  if (rules.empty() && !fallback)
    e.push_back(field::invalid("spec", rules, "either `defaultBackend` or `rules` must be specified"));
  if (fallback) check_backend(e, *fallback, "spec.defaultBackend");
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto here = index("spec.rules", i);
    check_host(e, jq::str(rules[i], {"host"}), here + ".host");
    const auto& paths = jq::arr(rules[i], {"http", "paths"});
    for (std::size_t j = 0; j < paths.size(); ++j)
      check_ingress_path(e, paths[j], index(here + ".http.paths", j));
  }
  const auto& tls = jq::arr(spec, {"tls"});
  for (std::size_t i = 0; i < tls.size(); ++i) {
    const auto& hosts = jq::arr(tls[i], {"hosts"});
    for (std::size_t j = 0; j < hosts.size(); ++j)
      if (hosts[j].is_string())
        check_host(e, jq::view(hosts[j].get_string()), index(index("spec.tls", i) + ".hosts", j));
  }
  if (const auto c = jq::str(spec, {"ingressClassName"}); !c.empty())
    check_name(e, "spec.ingressClassName", c, names::dns1123_subdomain(c));
}

void check_ingress_class(field_errors& e, const json::value& obj) {
  constexpr std::size_t controller_bytes_max = 250;
  const auto c = jq::str(obj, {"spec", "controller"});
  if (c.size() > controller_bytes_max)
    e.push_back(field::too_long("spec.controller", controller_bytes_max));
  else if (!c.empty() && c.find('/') == c.npos)
    e.push_back(field::invalid("spec.controller", text(c), "must be a domain-prefixed path (such as \"acme.io/foo\")"));
}

void check_block(field_errors& e, const json::value& block, const std::string& path) {
  const auto cidr = jq::str(block, {"cidr"});
  if (cidr.empty()) {
    e.push_back(field::required(path + ".cidr"));
    return;
  }
  check_name(e, path + ".cidr", cidr, names::cidr(cidr));
  const auto& except = jq::arr(block, {"except"});
  for (std::size_t i = 0; i < except.size(); ++i) {
    const auto s = except[i].is_string() ? jq::view(except[i].get_string()) : std::string_view{};
    check_name(e, index(path + ".except", i), s, names::cidr(s));
  }
}

void check_peer(field_errors& e, const json::value& peer, const std::string& path) {
  const auto* pods = jq::find(peer, {"podSelector"});
  const auto* spaces = jq::find(peer, {"namespaceSelector"});
  const auto* block = jq::find(peer, {"ipBlock"});
  check_selector(e, pods, path + ".podSelector");
  check_selector(e, spaces, path + ".namespaceSelector");
  if (block) check_block(e, *block, path + ".ipBlock");
  if (!pods && !spaces && !block)
    e.push_back(field::required(path, "must specify a peer"));
  else if (block && (pods || spaces))
    e.push_back(field::forbidden(path, "may not specify both ipBlock and another peer"));
}

void check_policy_ports(field_errors& e, const json::value& rule, const std::string& path) {
  const auto& ports = jq::arr(rule, {"ports"});
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto here = index(path + ".ports", i);
    const auto* port = jq::find(ports[i], {"port"});
    const auto end = jq::maybe_num(ports[i], {"endPort"});
    if (port && !port->is_null()) {
      check_port_or_name(e, port, here + ".port");
      if (end && port->is_string())
        e.push_back(field::invalid(here + ".endPort", *end, "may not be specified when `port` is non-numeric"));
      else if (end && *end < port->to_number<std::int64_t>())
        e.push_back(field::invalid(here + ".endPort", *end, "must be greater than or equal to `port`"));
    } else if (end) {
      e.push_back(field::invalid(here + ".endPort", *end, "must not be specified when `port` is not specified"));
    }
  }
}

void check_network_policy(field_errors& e, const json::value& obj) {
  const auto& spec = at(obj, {"spec"});
  check_selector(e, jq::find(spec, {"podSelector"}), "spec.podSelector");
  for (const auto& [list, peers] : {std::pair{"ingress", "from"}, std::pair{"egress", "to"}}) {
    const auto& rules = jq::arr(spec, {list});
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const auto here = index(std::string{"spec."} + list, i);
      check_policy_ports(e, rules[i], here);
      const auto& from = jq::arr(rules[i], {peers});
      for (std::size_t j = 0; j < from.size(); ++j)
        check_peer(e, from[j], index(here + "." + peers, j));
    }
  }
  constexpr std::size_t types_max = 2;
  if (const auto& types = jq::arr(spec, {"policyTypes"}); types.size() > types_max)
    e.push_back(field::invalid("spec.policyTypes", types, "may not specify more than two policyTypes"));
}

constexpr kind_rule rules[] = {
    {"", "Service", service_on_create, service_on_update, check_service, check_service_update},
    {"", "Endpoints", nullptr, nullptr, check_endpoints},
    {"discovery.k8s.io", "EndpointSlice", nullptr, nullptr, check_endpoint_slice},
    {"networking.k8s.io", "Ingress", nullptr, nullptr, check_ingress},
    {"networking.k8s.io", "IngressClass", nullptr, nullptr, check_ingress_class},
    {"networking.k8s.io", "NetworkPolicy", nullptr, nullptr, check_network_policy},
};

} // namespace

std::span<const kind_rule> network_kinds() { return rules; }

} // namespace troupe::kinds
