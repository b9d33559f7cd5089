#include "actors/node/config_reader.hpp"

#include <algorithm>
#include <set>

namespace troupe::node {

namespace {

using namespace detail;
using namespace std::chrono_literals;

bool is_level(const std::string& s) {
  static const std::set<std::string> levels{"trace", "debug", "info", "warning", "error", "critical", "off"};
  return levels.contains(s);
}
constexpr int heartbeats_per_election = 5;
constexpr auto level_words = "one of trace, debug, info, warning, error, critical, off";

/// 0.0.0.0 and loopback mean another place on each node.
bool is_node_address(const std::string& s) { return is_ipv4(s) && !s.starts_with("0.") && !s.starts_with("127."); }

void read_roles(const reader& r, const YAML::Node& n, node_config& out) {
  if (!n.IsSequence() || n.size() == 0) return r.fail(n, "nodes[].roles: expected a list of master and worker");
  out.master = out.worker = false;
  for (const auto& role : n) {
    const auto word = role.IsScalar() ? role.Scalar() : std::string{};
    if (word == "master") {
      out.master = true;
    } else if (word == "worker") {
      out.worker = true;
    } else {
      r.fail(role, "nodes[].roles: expected master or worker, found \"" + word + "\"");
    }
  }
}

node_config read_node(const reader& r, const YAML::Node& n) {
  node_config out;
  section ports{"nodes[].ports", r.errors};
  ports.key("api", r.number("nodes[].ports.api", out.ports.api, 1, 65535))
      .key("actors", r.number("nodes[].ports.actors", out.ports.actors, 1, 65535))
      .key("proxyHealth", r.number("nodes[].ports.proxyHealth", out.ports.proxy_health, 1, 65535));
  section s{"nodes[]", r.errors};
  s.key("name", r.text("nodes[].name", out.name, is_dns_name, "a DNS name (lower case letters, digits, - and .)"))
      .key("roles", [&](const YAML::Node& v) { read_roles(r, v, out); })
      .key("listen", r.text("nodes[].listen", out.listen, is_ipv4, "an IPv4 address"))
      .key("address", r.text("nodes[].address", out.address, is_node_address, "an IPv4 address that others can reach"))
      .key("priority", r.number("nodes[].priority", out.priority, 0, 1000))
      .key("ports", [&](const YAML::Node& v) { ports.read(v); })
      .key("labels", r.map("nodes[].labels", out.labels))
      .key("maxPods", r.number("nodes[].maxPods", out.pods_max, 1, 10000));
  s.read(n);
  if (out.name.empty() && n.IsMap() && !n["name"]) s.fail(n, "nodes[]: key \"name\" is missing");
  const auto& p = out.ports;
  if (p.api == p.actors || p.api == p.proxy_health || p.actors == p.proxy_health)
    s.fail(n, "nodes[].ports: api, actors and proxyHealth must differ");
  return out;
}

void read_node_ports(const reader& r, const YAML::Node& n, network_config& out) {
  const auto s = n.IsScalar() ? n.Scalar() : std::string{};
  unsigned low = 0, high = 0;
  const auto dash = s.find('-');
  bool ok = dash != std::string::npos;
  if (ok) {
    const auto a = std::from_chars(s.data(), s.data() + dash, low);
    const auto b = std::from_chars(s.data() + dash + 1, s.data() + s.size(), high);
    ok = a.ec == std::errc{} && a.ptr == s.data() + dash && b.ec == std::errc{} && b.ptr == s.data() + s.size() &&
         low >= 1 && low <= high && high <= 65535;
  }
  if (!ok) return r.fail(n, "network.nodePorts: expected a range such as 30000-32767, found \"" + s + "\"");
  out.node_port_first = static_cast<std::uint16_t>(low);
  out.node_port_last = static_cast<std::uint16_t>(high);
}

void read_network(const reader& r, const YAML::Node& n, network_config& out) {
  section s{"network", r.errors};
  s.key("podCIDR", r.text(
                       "network.podCIDR", out.pod_cidr, [](const auto& v) { return v == "auto" || is_cidr(v, 8, 24); },
                       "auto or an IPv4 network of 8 to 24 bits such as 10.244.0.0/16"))
      .key("serviceCIDR",
           r.text(
               "network.serviceCIDR", out.service_cidr, [](const auto& v) { return v == "auto" || is_cidr(v, 12, 27); },
               "auto or an IPv4 network of 12 to 27 bits such as 10.96.0.0/16"))
      .key("clusterDomain", r.text("network.clusterDomain", out.cluster_domain, is_dns_name, "a DNS name"))
      .key("serviceMode", r.text(
                              "network.serviceMode", out.service_mode,
                              [](const auto& v) { return v == "auto" || v == "iptables" || v == "nftables"; },
                              "auto, iptables or nftables"))
      .key("nodePorts", [&](const YAML::Node& v) { read_node_ports(r, v, out); });
  s.read(n);
}

void read_logging(const reader& r, const YAML::Node& n, log_config& out) {
  section s{"logging", r.errors};
  s.key("level", r.text("logging.level", out.level, is_level, level_words));
  s.key("levels", [&](const YAML::Node& v) {
    r.map("logging.levels", out.levels)(v);
    for (const auto& [component, level] : out.levels)
      if (!is_level(level)) r.fail(v, "logging.levels." + component + ": expected " + level_words);
  });
  s.read(n);
}

void read_raft(const reader& r, const YAML::Node& n, raft_config& out) {
  section s{"raft", r.errors};
  s.key("heartbeat", r.duration("raft.heartbeat", out.heartbeat, 5ms, 10s))
      .key("electionTimeout", r.duration("raft.electionTimeout", out.election_timeout, 50ms, 100s))
      .key("leaseReads", r.flag("raft.leaseReads", out.lease_reads))
      .key("checkEvery", r.duration("raft.checkEvery", out.check_every, 0s, 24h));
  s.read(n);
  if (out.election_timeout < heartbeats_per_election * out.heartbeat)
    s.fail(n, "raft.electionTimeout: expected at least " + std::to_string(heartbeats_per_election) +
                  " times raft.heartbeat, else a single lost message deposes the leader");
}

/// Rules that hold between nodes.
void check_nodes(const reader& r, const YAML::Node& n, cluster_config& out) {
  const auto& nodes = out.nodes;
  const auto placed = std::count_if(nodes.begin(), nodes.end(), [](const auto& x) { return !x.address.empty(); });
  if (placed != 0 && static_cast<std::size_t>(placed) != nodes.size())
    r.fail(n, "nodes: some have an address and some have none; give every node the address at which the others reach "
              "it, or none of them to run all on this machine in network namespaces");
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const auto &a = nodes[j], &b = nodes[i];
      if (a.address.empty() || a.address != b.address) continue;
      const std::set<std::uint16_t> ports{a.ports.api, a.ports.actors, a.ports.proxy_health,
                                          b.ports.api, b.ports.actors, b.ports.proxy_health};
      if (ports.size() < 6)
        r.fail(n[i], "nodes[]: \"" + a.name + "\" and \"" + b.name + "\" share the address " + a.address +
                         " and a port; nodes of one address need ports of their own");
    }
  const auto masters = out.masters();
  if (masters % 2 == 0 && masters > 0)
    out.warnings.push_back({n.Mark().line + 1, n.Mark().column + 1,
                            "nodes: " + std::to_string(masters) + " masters tolerate the loss of " +
                                std::to_string((masters - 1) / 2) + ", no more than " + std::to_string(masters - 1) +
                                " would, since a majority of " + std::to_string(masters) + " is " +
                                std::to_string(masters / 2 + 1) + "; an odd number is better"});
}

void read_nodes(const reader& r, const YAML::Node& n, cluster_config& out) {
  if (!n.IsSequence() || n.size() == 0) return r.fail(n, "nodes: expected a list with at least one node");
  std::set<std::string> names;
  for (const auto& entry : n) {
    auto one = read_node(r, entry);
    if (!one.name.empty() && !names.insert(one.name).second)
      r.fail(entry, "nodes[].name: \"" + one.name + "\" appears twice");
    out.nodes.push_back(std::move(one));
  }
  if (std::none_of(out.nodes.begin(), out.nodes.end(), [](const auto& x) { return x.master; }))
    r.fail(n, "nodes: at least one node needs the role master");
  check_nodes(r, n, out);
}

/// Line of a `---` that follows content, 0 when there is none.
int second_document(std::string_view text) {
  bool content = false;
  for (int line = 1; !text.empty(); ++line) {
    const auto end = text.find('\n');
    const auto one = text.substr(0, end);
    const bool marker = one == "---" || one.starts_with("--- ");
    if (marker && content) return line;
    if (!marker && one.find_first_not_of(" \t\r") != std::string_view::npos && one.front() != '#') content = true;
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return 0;
}

void read_document(const YAML::Node& doc, cluster_config& out, errors_t& errors) {
  reader r{errors};
  std::string api_version, kind;
  section s{"TroupeCluster", errors};
  s.key("apiVersion", r.text(
                          "apiVersion", api_version, [](const auto& v) { return v == "troupe/v1"; }, "troupe/v1"))
      .key("kind", r.text(
                       "kind", kind, [](const auto& v) { return v == "TroupeCluster"; }, "TroupeCluster"))
      .key("name", r.text("name", out.name, is_dns_label, "a DNS label"))
      .key("network", [&](const YAML::Node& n) { read_network(r, n, out.network); })
      .key("raft", [&](const YAML::Node& n) { read_raft(r, n, out.raft); })
      .key("logging", [&](const YAML::Node& n) { read_logging(r, n, out.logging); })
      .key("nodes", [&](const YAML::Node& n) { read_nodes(r, n, out); });
  s.read(doc);
  if (!doc.IsMap()) return;
  if (!doc["apiVersion"]) s.fail(doc, "key \"apiVersion\" is missing; expected apiVersion: troupe/v1");
  if (!doc["kind"]) s.fail(doc, "key \"kind\" is missing; expected kind: TroupeCluster");
  if (!doc["nodes"]) s.fail(doc, "key \"nodes\" is missing; expected a list with at least one node");
}

} // namespace

cluster_config single_node_config(std::string name) {
  cluster_config c;
  node_config n;
  n.name = std::move(name);
  c.nodes.push_back(std::move(n));
  return c;
}

std::size_t cluster_config::masters() const noexcept {
  return static_cast<std::size_t>(std::count_if(nodes.begin(), nodes.end(), [](const auto& n) { return n.master; }));
}

const node_config* cluster_config::node(std::string_view wanted) const noexcept {
  const auto it = std::find_if(nodes.begin(), nodes.end(), [&](const auto& n) { return n.name == wanted; });
  return it == nodes.end() ? nullptr : &*it;
}

std::variant<cluster_config, std::vector<config_error>> parse_cluster_config(std::string_view text) {
  errors_t errors;
  cluster_config out;
  try {
    // Not YAML::LoadAll: yaml-cpp 0.7 never returns from it for some broken texts (",x" is one).
    if (const int line = second_document(text)) {
      errors.push_back({line, 1, "expected exactly one YAML document; a second one begins here"});
    } else {
      read_document(YAML::Load(std::string{text}), out, errors);
    }
  } catch (const YAML::Exception& e) {
    errors.push_back({e.mark.line + 1, e.mark.column + 1, "not valid YAML: " + e.msg});
  }
  if (!errors.empty()) {
    std::stable_sort(errors.begin(), errors.end(), [](const auto& a, const auto& b) {
      return std::pair{a.line, a.column} < std::pair{b.line, b.column};
    });
    return errors;
  }
  return out;
}

} // namespace troupe::node
