#include "api/kinds/rules.hpp"

#include <algorithm>
#include <set>

namespace troupe::kinds {

namespace {

constexpr std::string_view ip_fault = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

std::string_view type_of(const json::value& s) { return jq::str(s, {"spec", "type"}); }
bool has_node_ports(std::string_view type) { return type == "NodePort" || type == "LoadBalancer"; }
bool headless(const json::value& s) { return jq::str(s, {"spec", "clusterIP"}) == "None"; }

std::string_view string_at(const json::array& a, std::size_t i) {
  return i < a.size() && a[i].is_string() ? jq::view(a[i].get_string()) : std::string_view{};
}

/// clusterIP and clusterIPs[0] say the same; the one that is given fills the other.
void mirror_cluster_ip(json::value& obj) {
  const std::string one{jq::str(obj, {"spec", "clusterIP"})};
  const auto& many = jq::arr(obj, {"spec", "clusterIPs"});
  if (!one.empty() && many.empty())
    jq::at(obj, {"spec", "clusterIPs"}) = json::array{json::value(text(one))};
  else if (one.empty() && !many.empty())
    jq::at(obj, {"spec", "clusterIP"}) = text(string_at(many, 0));
}

void fill_by_type(json::value& obj) {
  // Copies: a view into the object would not outlive the first member put into it.
  const std::string type{type_of(obj)};
  auto& spec = jq::at(obj, {"spec"});
  const auto put = [&](std::string_view key, json::value v) {
    if (!jq::find(spec, {key})) jq::at(spec, {key}) = std::move(v);
  };
  const std::string affinity{jq::str(spec, {"sessionAffinity"})};
  if (affinity == "ClientIP" && !jq::find(spec, {"sessionAffinityConfig", "clientIP", "timeoutSeconds"}))
    jq::at(spec, {"sessionAffinityConfig", "clientIP", "timeoutSeconds"}) = 10800;
  if (affinity == "None") jq::erase(spec, {"sessionAffinityConfig"});
  if (type == "ExternalName") return;
  put("internalTrafficPolicy", "Cluster");
  if (has_node_ports(type) || !jq::arr(spec, {"externalIPs"}).empty()) put("externalTrafficPolicy", "Cluster");
  if (type == "LoadBalancer") put("allocateLoadBalancerNodePorts", true);
  // Without a selector a headless service may name addresses of either family.
  if (headless(obj)) {
    const bool selects = !jq::obj(spec, {"selector"}).empty();
    put("ipFamilyPolicy", selects ? "SingleStack" : "RequireDualStack");
    put("ipFamilies", selects ? json::array{"IPv4"} : json::array{"IPv4", "IPv6"});
  } else {
    put("ipFamilyPolicy", "SingleStack");
    put("ipFamilies", json::array{"IPv4"});
  }
}

/// What was allocated before stays, when the request leaves it out and still needs it.
void keep_allocated(json::value& obj, const json::value& old) {
  const std::string type{type_of(obj)}, old_type{type_of(old)};
  const auto take = [&](std::string_view key) {
    if (const auto* v = jq::find(old, {"spec", key}); v && !jq::find(obj, {"spec", key}))
      jq::at(obj, {"spec", key}) = *v;
  };
  if (type != "ExternalName" && old_type != "ExternalName") {
    const bool none = jq::str(obj, {"spec", "clusterIP"}).empty() && jq::arr(obj, {"spec", "clusterIPs"}).empty();
    if (none) {
      take("clusterIP");
      take("clusterIPs");
    }
    take("ipFamilies");
    take("ipFamilyPolicy");
  }
  if (has_node_ports(type) && has_node_ports(old_type)) {
    auto* ports = jq::find(obj, {"spec", "ports"});
    std::set<std::int64_t> taken;
    if (ports && ports->is_array())
      for (const auto& p : ports->as_array())
        taken.insert(jq::num(p, {"nodePort"}));
    for (const auto& was : jq::arr(old, {"spec", "ports"})) {
      const auto node = jq::num(was, {"nodePort"});
      if (node == 0 || taken.contains(node) || !ports || !ports->is_array()) continue;
      for (auto& p : ports->as_array()) {
        if (jq::num(p, {"nodePort"}) != 0 || jq::num(p, {"port"}) != jq::num(was, {"port"}) ||
            jq::str(p, {"protocol"}) != jq::str(was, {"protocol"}))
          continue;
        jq::at(p, {"nodePort"}) = node;
        taken.insert(node);
      }
    }
  }
  if (type == "LoadBalancer" && jq::str(obj, {"spec", "externalTrafficPolicy"}) == "Local") take("healthCheckNodePort");
}

/// A change of type drops what the old type needed and the request only repeated.
void drop_dependent(json::value& obj, const json::value& old) {
  const std::string type{type_of(obj)}, old_type{type_of(old)};
  const auto drop_same = [&](std::string_view key) {
    if (!differ(jq::find(obj, {"spec", key}), jq::find(old, {"spec", key}))) jq::erase(obj, {"spec", key});
  };
  if (old_type != "ExternalName" && type == "ExternalName")
    for (auto key : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"})
      drop_same(key);
  if (has_node_ports(old_type) && !has_node_ports(type)) {
    std::set<std::int64_t> before;
    for (const auto& p : jq::arr(old, {"spec", "ports"}))
      before.insert(jq::num(p, {"nodePort"}));
    if (auto* ports = jq::find(obj, {"spec", "ports"}); ports && ports->is_array())
      for (auto& p : ports->as_array())
        if (before.contains(jq::num(p, {"nodePort"}))) jq::erase(p, {"nodePort"});
    if (jq::arr(obj, {"spec", "externalIPs"}).empty()) drop_same("externalTrafficPolicy");
  }
  if (old_type == "LoadBalancer" && type != "LoadBalancer")
    for (auto key : {"healthCheckNodePort", "allocateLoadBalancerNodePorts", "loadBalancerClass"})
      drop_same(key);
  if (jq::str(old, {"spec", "externalTrafficPolicy"}) == "Local" &&
      jq::str(obj, {"spec", "externalTrafficPolicy"}) != "Local")
    drop_same("healthCheckNodePort");
}

void check_ports(field_errors& e, const json::value& obj) {
  const auto type = type_of(obj);
  const auto& ports = jq::arr(obj, {"spec", "ports"});
  if (ports.empty() && !headless(obj) && type != "ExternalName") e.push_back(field::required("spec.ports"));
  std::set<std::string_view> seen;
  std::set<std::pair<std::string_view, std::int64_t>> pairs, node_pairs;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto here = index("spec.ports", i);
    const auto& p = ports[i];
    const auto name = jq::str(p, {"name"}), protocol = jq::str(p, {"protocol"});
    if (name.empty()) {
      if (ports.size() > 1) e.push_back(field::required(here + ".name"));
    } else if (!names::is_dns1123_label(name)) {
      check_name(e, here + ".name", name, names::dns1123_label(name));
    } else if (!seen.insert(name).second) {
      e.push_back(field::duplicate(here + ".name", text(name)));
    }
    const auto port = jq::num(p, {"port"});
    check_port(e, port, here + ".port");
    if (const auto* target = jq::find(p, {"targetPort"}); target && !headless(obj))
      check_port_or_name(e, target, here + ".targetPort");
    const auto node = jq::num(p, {"nodePort"});
    if (node != 0 && !has_node_ports(type))
      e.push_back(field::forbidden(here + ".nodePort", "may not be used when `type` is '" + std::string{type} + "'"));
    if (!pairs.insert({protocol, port}).second) {
      json::object shown;
      shown["port"] = port;
      shown["protocol"] = text(protocol);
      e.push_back(field::duplicate(here, shown));
    }
    if (node != 0 && has_node_ports(type) && !node_pairs.insert({protocol, node}).second)
      e.push_back(field::duplicate(here + ".nodePort", node));
  }
}

void check_addresses(field_errors& e, const json::value& obj) {
  const auto type = type_of(obj);
  const auto& ips = jq::arr(obj, {"spec", "clusterIPs"});
  const auto ip = jq::str(obj, {"spec", "clusterIP"});
  constexpr std::size_t families_max = 2;
  if (type == "ExternalName") {
    if (!ips.empty()) e.push_back(field::forbidden("spec.clusterIPs", "may not be set for ExternalName services"));
    return;
  }
  if (!ips.empty() && ip != string_at(ips, 0))
    e.push_back(field::invalid("spec.clusterIPs", ips, "first value must match `clusterIP`"));
  if (ips.size() > families_max) e.push_back(field::invalid("spec.clusterIPs", ips, "may only hold up to 2 values"));
  for (std::size_t i = 0; i < ips.size(); ++i) {
    const auto s = string_at(ips, i);
    const auto here = index("spec.clusterIPs", i);
    if (s == "None") {
      if (i > 0)
        e.push_back(field::invalid(here, ips[i], "must be empty when `clusterIPs[0]` is 'None'"));
      else if (has_node_ports(type))
        e.push_back(field::invalid(here, ips[i], "may not be set to 'None' for " + std::string{type} + " services"));
    } else if (!names::is_ip(s)) {
      e.push_back(field::invalid(here, ips[i], ip_fault));
    }
  }
}

void check_traffic(field_errors& e, const json::value& obj) {
  const auto type = type_of(obj);
  const auto& spec = at(obj, {"spec"});
  const auto& external = jq::arr(spec, {"externalIPs"});
  for (std::size_t i = 0; i < external.size(); ++i)
    if (!names::is_ip(string_at(external, i)))
      e.push_back(field::invalid(index("spec.externalIPs", i), external[i], ip_fault));
  const bool from_outside = has_node_ports(type) || !external.empty();
  if (const auto policy = jq::str(spec, {"externalTrafficPolicy"}); !policy.empty() && !from_outside)
    e.push_back(field::invalid("spec.externalTrafficPolicy", text(policy),
                               "may only be set for externally-accessible services"));
  if (jq::num(spec, {"healthCheckNodePort"}) != 0 &&
      (type != "LoadBalancer" || jq::str(spec, {"externalTrafficPolicy"}) != "Local"))
    e.push_back(field::invalid("spec.healthCheckNodePort", at(spec, {"healthCheckNodePort"}),
                               "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"));
  const auto& ranges = jq::arr(spec, {"loadBalancerSourceRanges"});
  if (!ranges.empty() && type != "LoadBalancer")
    e.push_back(field::forbidden("spec.loadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'"));
  for (std::size_t i = 0; i < ranges.size(); ++i)
    check_name(e, index("spec.loadBalancerSourceRanges", i), string_at(ranges, i), names::cidr(string_at(ranges, i)));
  if (jq::find(spec, {"allocateLoadBalancerNodePorts"}) && type != "LoadBalancer")
    e.push_back(
        field::forbidden("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'"));
  if (const auto c = jq::str(spec, {"loadBalancerClass"}); !c.empty() && type != "LoadBalancer")
    e.push_back(field::forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'"));
  if (jq::str(spec, {"sessionAffinity"}) == "ClientIP") {
    constexpr std::int64_t affinity_seconds_max = 86400;
    const auto t = jq::num(spec, {"sessionAffinityConfig", "clientIP", "timeoutSeconds"});
    if (t <= 0 || t > affinity_seconds_max)
      e.push_back(field::invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", t,
                                 "must be greater than 0 and less than 86400"));
  }
}

} // namespace

void service_on_create(json::value& obj, const write_context&) {
  mirror_cluster_ip(obj);
  fill_by_type(obj);
}

void service_on_update(json::value& obj, const json::value& old, const write_context&) {
  // A client that changes only clusterIP means both.
  if (!differ(jq::find(obj, {"spec", "clusterIPs"}), jq::find(old, {"spec", "clusterIPs"})) &&
      differ(jq::find(obj, {"spec", "clusterIP"}), jq::find(old, {"spec", "clusterIP"})) &&
      jq::find(obj, {"spec", "clusterIP"}))
    jq::erase(obj, {"spec", "clusterIPs"});
  mirror_cluster_ip(obj);
  drop_dependent(obj, old);
  keep_allocated(obj, old);
  fill_by_type(obj);
}

void check_service(field_errors& e, const json::value& obj) {
  check_ports(e, obj);
  check_labels(e, jq::obj(obj, {"spec", "selector"}), "spec.selector");
  check_addresses(e, obj);
  if (type_of(obj) == "ExternalName") {
    auto name = jq::str(obj, {"spec", "externalName"});
    if (name.ends_with('.')) name.remove_suffix(1);
    if (name.empty())
      e.push_back(field::required("spec.externalName"));
    else
      check_name(e, "spec.externalName", name, names::dns1123_subdomain(name));
  }
  check_traffic(e, obj);
}

void check_service_update(field_errors& e, const json::value& obj, const json::value& old) {
  const auto type = type_of(obj), old_type = type_of(old);
  if (type != "ExternalName" && old_type != "ExternalName") {
    const auto& now = jq::arr(obj, {"spec", "clusterIPs"});
    const auto& was = jq::arr(old, {"spec", "clusterIPs"});
    if (!was.empty() && now.empty())
      e.push_back(field::invalid("spec.clusterIPs[0]", now, "primary clusterIP can not be unset"));
    else if (!was.empty() && now[0] != was[0])
      e.push_back(field::invalid("spec.clusterIPs[0]", now, "may not change once set"));
    const auto& families = jq::arr(obj, {"spec", "ipFamilies"});
    const auto& families_before = jq::arr(old, {"spec", "ipFamilies"});
    if (!families_before.empty() && !families.empty() && families[0] != families_before[0])
      e.push_back(field::invalid("spec.ipFamilies[0]", families, "may not change once set"));
  }
  if (type == "LoadBalancer" && old_type == "LoadBalancer")
    check_immutable(e, obj, old, {"spec", "loadBalancerClass"}, "may not change once set");
}

} // namespace troupe::kinds
