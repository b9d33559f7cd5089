// Service addresses: cluster IPs and node ports, taken from what the view says is free.
//
// Two services created at once read the same view. Each allocating change also rewrites one allocation record,
// compared at apply, so the second of them runs again on a view that shows the first.
#include "actors/apiserver/admission/admission.hpp"

#include <unordered_set>

namespace troupe::apiserver::plugins {

namespace {

constexpr const char* record_table = "troupe.allocations";
constexpr const char* record_name = "services";

struct in_use {
  std::unordered_set<std::uint32_t> ips;
  std::unordered_set<std::int64_t> ports;
};

in_use used_by_others(const admission_context& c, std::string_view own_name) {
  in_use out;
  c.e.state.scan("services", {}, [&](const store::object_ptr& o) {
    if (o->ns == c.e.req.ns && o->name == own_name) return true;
    const auto doc = o->parse();
    if (const auto ip = ip_range::parse_ip(jq::str(doc, {"spec", "clusterIP"}))) out.ips.insert(*ip);
    for (const auto& p : jq::arr(doc, {"spec", "ports"}))
      if (const auto n = jq::num(p, {"nodePort"})) out.ports.insert(n);
    if (const auto n = jq::num(doc, {"spec", "healthCheckNodePort"})) out.ports.insert(n);
    return true;
  });
  // The first address belongs to default/kubernetes even before that service is stored.
  if (!(c.e.req.ns == "default" && own_name == "kubernetes")) out.ips.insert(c.e.s.service_ips.first + 1);
  return out;
}

void claim_record(admission_context& c) {
  const auto o = c.e.state.get(record_table, "", record_name);
  store::put p;
  p.key = {record_table, "", record_name};
  p.bytes = R"({"metadata":{"name":"services"}})";
  c.plan.change.compares.push_back({p.key, o ? o->mod : 0});
  c.plan.change.puts.push_back(std::move(p));
}

status invalid(const json::value& obj, cause f) {
  return errors::invalid("Service", "", jq::str(obj, {"metadata", "name"}), {std::move(f)});
}

std::optional<std::uint32_t> free_ip(const ip_range& range, const in_use& used, random_source& random) {
  // The lower part is left to addresses people choose themselves, as kube-apiserver does.
  const std::uint32_t hosts = range.size - 2;
  const std::uint32_t reserved = std::min<std::uint32_t>(std::max<std::uint32_t>(hosts / 16, 16), 256);
  const std::uint32_t low = hosts > 2 * reserved ? reserved : 1;
  const std::uint32_t span = hosts - low;
  const auto start = span ? static_cast<std::uint32_t>(random.below(span)) : 0;
  for (std::uint32_t i = 0; i < span; ++i) {
    const auto ip = range.first + 1 + low + (start + i) % span;
    if (!used.ips.count(ip)) return ip;
  }
  for (std::uint32_t i = 1; i <= low; ++i)
    if (!used.ips.count(range.first + i)) return range.first + i;
  return std::nullopt;
}

result<void> take_ip(admission_context& c, json::value& obj, const in_use& used) {
  const std::string wanted{jq::str(obj, {"spec", "clusterIP"})};
  if (wanted == "None") {
    jq::at(obj, {"spec", "clusterIPs"}) = json::array{json::value("None")};
    return {};
  }
  const auto& range = c.e.s.service_ips;
  std::uint32_t ip = 0;
  const auto refused = [&](const std::string& why) {
    return invalid(obj, field::invalid("spec.clusterIPs", json::array{json::value(wanted)},
                                       "failed to allocate IP " + wanted + ": " + why));
  };
  if (!wanted.empty()) {
    const auto parsed = ip_range::parse_ip(wanted);
    if (!parsed || !range.contains(*parsed))
      return refused("the provided IP (" + wanted + ") is not in the valid range. The range of valid IPs is " +
                     range.text);
    if (used.ips.count(*parsed)) return refused("provided IP is already allocated");
    ip = *parsed;
  } else {
    const auto got = free_ip(range, used, c.e.random);
    if (!got) return errors::internal("failed to allocate a serviceIP: range is full");
    ip = *got;
  }
  const auto text = ip_range::format(ip);
  jq::at(obj, {"spec", "clusterIP"}) = text;
  jq::at(obj, {"spec", "clusterIPs"}) = json::array{json::value(text)};
  return {};
}

result<void> take_ports(admission_context& c, json::value& obj, in_use& used) {
  auto* ports = jq::find(obj, {"spec", "ports"});
  if (!ports || !ports->is_array()) return {};
  const auto& o = c.e.s.options;
  const std::int64_t first = o.node_port_first, last = o.node_port_last;
  const std::string range = std::to_string(first) + "-" + std::to_string(last);
  std::unordered_set<std::int64_t> own; // one number may serve TCP and UDP of one service
  std::size_t i = 0;
  for (auto& p : ports->get_array()) {
    const auto path = "spec.ports[" + std::to_string(i++) + "].nodePort";
    const auto n = jq::num(p, {"nodePort"});
    if (n == 0) continue;
    if (n < first || n > last)
      return invalid(obj,
                     field::invalid(path, json::value(n),
                                    "provided port is not in the valid range. The range of valid ports is " + range));
    if (used.ports.count(n))
      return invalid(obj, field::invalid(path, json::value(n), "provided port is already allocated"));
    own.insert(n);
  }
  used.ports.insert(own.begin(), own.end());
  for (auto& p : ports->get_array()) {
    if (jq::num(p, {"nodePort"}) != 0) continue;
    const auto span = last - first + 1;
    const auto start = static_cast<std::int64_t>(c.e.random.below(static_cast<std::uint64_t>(span)));
    std::int64_t got = 0;
    for (std::int64_t k = 0; k < span && got == 0; ++k) {
      const auto n = first + (start + k) % span;
      if (!used.ports.count(n)) got = n;
    }
    if (got == 0) return errors::internal("failed to allocate a nodePort: range is full");
    used.ports.insert(got);
    jq::at(p, {"nodePort"}) = got;
  }
  return {};
}

bool wants_ports(const json::value& obj) {
  const auto type = jq::str(obj, {"spec", "type"});
  if (type == "NodePort") return true;
  return type == "LoadBalancer" && jq::flag(obj, {"spec", "allocateLoadBalancerNodePorts"}, true);
}

json::array node_ports(const json::value& obj) {
  json::array out;
  for (const auto& p : jq::arr(obj, {"spec", "ports"}))
    out.push_back(json::value(jq::num(p, {"nodePort"})));
  return out;
}

/// An update that leaves addresses out keeps those it had.
void keep_addresses(const json::value& old, json::value& obj) {
  const auto type = jq::str(obj, {"spec", "type"});
  if (type == "ExternalName") return;
  const auto had = jq::str(old, {"spec", "clusterIP"});
  if (jq::str(obj, {"spec", "clusterIP"}).empty() && !had.empty()) {
    for (const char* f : {"clusterIP", "clusterIPs"})
      if (const auto* v = jq::find(old, {"spec", f})) jq::at(obj, {"spec", f}) = *v;
  }
  if (!wants_ports(obj)) return;
  auto* ports = jq::find(obj, {"spec", "ports"});
  if (!ports || !ports->is_array()) return;
  for (auto& p : ports->get_array()) {
    if (jq::num(p, {"nodePort"}) != 0) continue;
    for (const auto& q : jq::arr(old, {"spec", "ports"}))
      if (jq::num(q, {"nodePort"}) != 0 && jq::num(q, {"port"}) == jq::num(p, {"port"}) &&
          jq::str(q, {"protocol"}) == jq::str(p, {"protocol"}))
        jq::at(p, {"nodePort"}) = jq::num(q, {"nodePort"});
  }
}

void set_families(json::value& obj) {
  if (!jq::find(obj, {"spec", "ipFamilies"})) jq::at(obj, {"spec", "ipFamilies"}) = json::array{json::value("IPv4")};
  if (!jq::find(obj, {"spec", "ipFamilyPolicy"})) jq::at(obj, {"spec", "ipFamilyPolicy"}) = "SingleStack";
}

result<void> check_families(const json::value& obj) {
  for (const auto& f : jq::arr(obj, {"spec", "ipFamilies"}))
    if (f.is_string() && f.get_string() == "IPv6")
      return invalid(obj, field::invalid("spec.ipFamilies[0]", f, "not configured on this cluster"));
  if (jq::str(obj, {"spec", "ipFamilyPolicy"}) == "RequireDualStack")
    return invalid(obj, field::invalid("spec.ipFamilyPolicy", json::value("RequireDualStack"),
                                       "this cluster is not configured for dual-stack services"));
  return {};
}

} // namespace

result<void> service_addresses(admission_context& c, json::value& obj) {
  const auto type = jq::str(obj, {"spec", "type"});
  if (type == "ExternalName") {
    // A service that becomes one gives its addresses back.
    if (c.old && jq::str(*c.old, {"spec", "type"}) != "ExternalName")
      for (const char* f : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"})
        if (jq::find(*c.old, {"spec", f}) && jq::find(obj, {"spec", f}) &&
            *jq::find(*c.old, {"spec", f}) == *jq::find(obj, {"spec", f}))
          jq::erase(obj, {"spec", f});
    return {};
  }
  // Who lists the endpoints of a headless service without a selector by hand may list both families.
  const bool by_hand = jq::str(obj, {"spec", "clusterIP"}) == "None" && jq::obj(obj, {"spec", "selector"}).empty();
  if (!by_hand)
    if (auto r = check_families(obj); !r) return r;
  if (c.old) keep_addresses(*c.old, obj);
  set_families(obj);
  const bool same_ip = c.old && !jq::str(obj, {"spec", "clusterIP"}).empty() &&
                       jq::str(*c.old, {"spec", "clusterIP"}) == jq::str(obj, {"spec", "clusterIP"});
  const auto ports_now = node_ports(obj);
  bool open_ports = false;
  for (const auto& n : ports_now)
    open_ports = open_ports || n.as_int64() == 0;
  const bool same_ports = !wants_ports(obj) || (c.old && !open_ports && node_ports(*c.old) == ports_now);
  if (same_ip && same_ports) return {};
  const bool headless = jq::str(obj, {"spec", "clusterIP"}) == "None";
  auto used = used_by_others(c, jq::str(obj, {"metadata", "name"}));
  if (!same_ip)
    if (auto r = take_ip(c, obj, used); !r) return r;
  if (!same_ports)
    if (auto r = take_ports(c, obj, used); !r) return r;
  if (!c.e.dry_run && (!headless || !same_ports)) claim_record(c);
  return {};
}

} // namespace troupe::apiserver::plugins
