#include "actors/node/cluster_config.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <functional>
#include <set>

namespace troupe::node {

namespace {

using errors_t = std::vector<config_error>;

bool is_dns_label(std::string_view s) {
  if (s.empty() || s.size() > 63) return false;
  auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (!alnum(s.front()) || !alnum(s.back())) return false;
  return std::all_of(s.begin(), s.end(), [&](char c) { return alnum(c) || c == '-'; });
}

bool is_dns_name(std::string_view s) {
  if (s.empty() || s.size() > 253) return false;
  while (true) {
    const auto dot = s.find('.');
    if (!is_dns_label(s.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    s.remove_prefix(dot + 1);
  }
}

bool is_ipv4(const std::string& s) {
  in_addr a{};
  return inet_pton(AF_INET, s.c_str(), &a) == 1;
}

/// Accepts a network of `shortest` to `longest` bits whose host part is zero.
bool is_cidr(const std::string& s, int shortest, int longest) {
  const auto slash = s.find('/');
  if (slash == std::string::npos) return false;
  in_addr a{};
  if (inet_pton(AF_INET, s.substr(0, slash).c_str(), &a) != 1) return false;
  int bits = -1;
  auto [end, ec] = std::from_chars(s.data() + slash + 1, s.data() + s.size(), bits);
  if (ec != std::errc{} || end != s.data() + s.size() || bits < shortest || bits > longest) return false;
  return (ntohl(a.s_addr) & ((1ULL << (32 - bits)) - 1)) == 0;
}

/// Walks one mapping: each key goes to its handler, unknown and repeated keys become errors.
class section {
public:
  using handler = std::function<void(const YAML::Node&)>;
  section(std::string where, errors_t& errors) : where_(std::move(where)), errors_(errors) {}

  section& key(std::string name, handler h) {
    handlers_.emplace_back(std::move(name), std::move(h));
    return *this;
  }

  void read(const YAML::Node& n) const {
    if (!n.IsMap()) {
      fail(n, where_ + ": expected a mapping (key: value lines)");
      return;
    }
    std::set<std::string> seen;
    for (const auto& kv : n) {
      if (!kv.first.IsScalar()) {
        fail(kv.first, where_ + ": expected a plain key");
        continue;
      }
      const auto name = kv.first.Scalar();
      const auto it = std::find_if(handlers_.begin(), handlers_.end(), [&](const auto& h) { return h.first == name; });
      if (it == handlers_.end()) {
        unknown(kv.first, name);
      } else if (!seen.insert(name).second) {
        fail(kv.first, where_ + ": key \"" + name + "\" appears twice");
      } else {
        it->second(kv.second);
      }
    }
  }

  void fail(const YAML::Node& n, std::string what) const {
    errors_.push_back({n.Mark().line + 1, n.Mark().column + 1, std::move(what)});
  }

private:
  void unknown(const YAML::Node& n, const std::string& name) const {
    std::vector<std::string> known;
    for (const auto& h : handlers_)
      known.push_back(h.first);
    auto what = where_ + ": unknown key \"" + name + "\"";
    if (auto near = nearest_word(name, known)) {
      what += "; did you mean \"" + *near + "\"?";
    } else {
      what += "; known keys are ";
      for (std::size_t i = 0; i < known.size(); ++i)
        what += (i ? ", " : "") + known[i];
    }
    fail(n, std::move(what));
  }

  std::string where_;
  errors_t& errors_;
  std::vector<std::pair<std::string, handler>> handlers_;
};

/// Makes handlers that check one scalar and store it.
struct reader {
  errors_t& errors;

  void fail(const YAML::Node& n, std::string what) const {
    errors.push_back({n.Mark().line + 1, n.Mark().column + 1, std::move(what)});
  }

  section::handler text(std::string name, std::string& out, std::function<bool(const std::string&)> ok,
                        std::string expected) const {
    return [=, this, &out](const YAML::Node& n) {
      if (!n.IsScalar() || !ok(n.Scalar())) {
        fail(n, name + ": expected " + expected + (n.IsScalar() ? ", found \"" + n.Scalar() + "\"" : std::string{}));
        return;
      }
      out = n.Scalar();
    };
  }

  template <class Int>
  section::handler number(std::string name, Int& out, std::int64_t low, std::int64_t high) const {
    return [=, this, &out](const YAML::Node& n) {
      std::int64_t v = 0;
      const auto s = n.IsScalar() ? n.Scalar() : std::string{};
      const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v);
      if (s.empty() || ec != std::errc{} || end != s.data() + s.size() || v < low || v > high) {
        fail(n, name + ": expected a whole number from " + std::to_string(low) + " to " + std::to_string(high) +
                    (s.empty() ? "" : ", found \"" + s + "\""));
        return;
      }
      out = static_cast<Int>(v);
    };
  }

  section::handler map(std::string name, std::map<std::string, std::string>& out) const {
    return [=, this, &out](const YAML::Node& n) {
      if (!n.IsMap()) return fail(n, name + ": expected a mapping of text to text");
      for (const auto& kv : n) {
        if (!kv.first.IsScalar() || !kv.second.IsScalar()) {
          fail(kv.first, name + ": expected text for both key and value");
          continue;
        }
        out[kv.first.Scalar()] = kv.second.Scalar();
      }
    };
  }
};

bool is_level(const std::string& s) {
  static const std::set<std::string> levels{"trace", "debug", "info", "warning", "error", "critical", "off"};
  return levels.contains(s);
}
constexpr auto level_words = "one of trace, debug, info, warning, error, critical, off";

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
      .key("logging", [&](const YAML::Node& n) { read_logging(r, n, out.logging); })
      .key("nodes", [&](const YAML::Node& n) { read_nodes(r, n, out); });
  s.read(doc);
  if (!doc.IsMap()) return;
  if (!doc["apiVersion"]) s.fail(doc, "key \"apiVersion\" is missing; expected apiVersion: troupe/v1");
  if (!doc["kind"]) s.fail(doc, "key \"kind\" is missing; expected kind: TroupeCluster");
  if (!doc["nodes"]) s.fail(doc, "key \"nodes\" is missing; expected a list with at least one node");
}

} // namespace

std::optional<std::string> nearest_word(std::string_view word, const std::vector<std::string>& known) {
  std::optional<std::string> best;
  std::size_t best_distance = 4;
  for (const auto& k : known) {
    std::vector<std::size_t> row(k.size() + 1);
    for (std::size_t j = 0; j <= k.size(); ++j)
      row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= k.size(); ++j) {
        const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
        const auto swap = diagonal + (lower(word[i - 1]) == lower(k[j - 1]) ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, swap});
      }
    }
    if (row[k.size()] < best_distance && row[k.size()] < std::max(k.size(), std::size_t{2})) {
      best_distance = row[k.size()];
      best = k;
    }
  }
  return best;
}

cluster_config single_node_config(std::string name) {
  cluster_config c;
  node_config n;
  n.name = std::move(name);
  c.nodes.push_back(std::move(n));
  return c;
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
