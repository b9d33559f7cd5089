#include "net/service/nft_planner.hpp"

#include "net/service/limits.hpp"
#include "net/service/service_text.hpp"

#include <cctype>
#include <cstdio>

namespace troupe::net {

namespace {

/// Numbers, since the names need /etc/protocols, which a small system may lack.
std::string protocol_number(const std::string& p) { return p == "tcp" ? "6" : p == "udp" ? "17" : "132"; }

std::string mark_text() {
  char out[16];
  std::snprintf(out, sizeof out, "0x%x", limits::masquerade_mark);
  return out;
}

/// The fingerprint of the whole chain sits in the comment of its first rule; comments have at most 128 bytes.
nft_chain service_chain(const std::string& id, std::vector<std::string> rules) {
  if (!rules.empty()) {
    auto print = fingerprint_of(rules);
    rules.front() += " comment \"" + id.substr(0, 90) + " #" + print + '"';
  }
  return {{}, std::move(rules)};
}

class planner {
public:
  explicit planner(const proxy_config& c) : config_(c) {
    out_.table = nft_table(c);
    const std::string address_key = "type ipv4_addr . inet_proto . inet_service : verdict;";
    const std::string port_key = "type inet_proto . inet_service : verdict;";
    out_.sets["service-ips"] = {"map", address_key, {}, false};
    out_.sets["service-nodeports"] = {"map", port_key, {}, false};
    out_.sets["refused-ips"] = {"map", address_key, {}, false};
    out_.sets["refused-nodeports"] = {"map", port_key, {}, false};
    out_.sets["hairpin"] = {"set", "type ipv4_addr . ipv4_addr;", {}, false};
    base_chains();
  }

  void add(const service_port& s) {
    names n;
    n.id = identity_of(s);
    auto hash = short_hash(n.id + '/' + s.protocol, 16);
    n.svc = "svc-" + hash;
    n.svl = "svl-" + hash;
    n.ext = "ext-" + hash;
    bool outside = !s.external_ips.empty() || s.node_port != 0;
    auto inner = internal_endpoints(s), outer = external_endpoints(s);
    bool cluster_wide = !s.endpoints.empty() && ((!s.cluster_ip.empty() && !s.internal_local) || outside);
    bool local = (!s.cluster_ip.empty() && s.internal_local && !inner.empty()) ||
                 (outside && s.external_local && !outer.empty());
    if (cluster_wide) out_.chains[n.svc] = balancing(s, n, s.endpoints, !s.internal_local);
    if (local) out_.chains[n.svl] = balancing(s, n, local_only(s.endpoints), s.internal_local);
    for (const auto& e : s.endpoints)
      out_.sets["hairpin"].elements[e.address + " . " + e.address];
    if (!s.cluster_ip.empty()) {
      auto key = s.cluster_ip + " . " + protocol_number(s.protocol) + " . " + std::to_string(s.port);
      if (inner.empty())
        out_.sets["refused-ips"].elements[key] = refusal(s);
      else
        out_.sets["service-ips"].elements[key] = "goto " + (s.internal_local ? n.svl : n.svc);
    }
    if (outside) external(s, n, outer);
  }

  nft_rules take() { return std::move(out_); }

private:
  struct names {
    std::string id, svc, svl, ext;
  };

  void base(const std::string& name, const std::string& type, const std::string& hook, int priority,
            std::vector<std::string> rules) {
    auto chain = service_chain("troupe", std::move(rules));
    chain.head = "type " + type + " hook " + hook + " priority " + std::to_string(priority) + ";";
    out_.chains[name] = std::move(chain);
  }

  void base_chains() {
    auto mark = mark_text();
    base("nat-prerouting", "nat", "prerouting", -100, {"jump services"});
    base("nat-output", "nat", "output", -100, {"jump services"});
    base("nat-postrouting", "nat", "postrouting", 100,
         {"ct status dnat ip saddr . ip daddr @hairpin masquerade fully-random",
          "meta mark & " + mark + " != 0 meta mark set meta mark ^ " + mark + " masquerade fully-random"});
    base("filter-input", "filter", "input", 0, {"ct state new jump refuse"});
    base("filter-forward", "filter", "forward", 0, {"ct state new jump refuse"});
    base("filter-output", "filter", "output", 0, {"ct state new jump refuse"});
    out_.chains["services"] =
        service_chain("troupe", {"ip daddr . meta l4proto . th dport vmap @service-ips",
                                 "fib daddr type local meta l4proto . th dport vmap @service-nodeports"});
    std::vector<std::string> refuse{"ip daddr . meta l4proto . th dport vmap @refused-ips",
                                    "fib daddr type local meta l4proto . th dport vmap @refused-nodeports"};
    // What is still addressed to the range after translation has no Service: nothing else answers there.
    if (!config_.service_cidr.empty()) refuse.push_back("ip daddr " + config_.service_cidr + " goto do-reject");
    out_.chains["refuse"] = service_chain("troupe", std::move(refuse));
    out_.chains["do-reject"] = service_chain("troupe", {"meta l4proto 6 reject with tcp reset", "reject"});
  }

  static std::string refusal(const service_port& s) { return s.endpoints.empty() ? "goto do-reject" : "drop"; }

  static std::string translation(const service_port& s, const std::string& to) {
    return "meta l4proto " + protocol_number(s.protocol) + " dnat ip to " + to;
  }

  /// Only for session affinity: a chain and a set of clients per endpoint.
  std::pair<std::string, std::string> endpoint_chain(const service_port& s, const names& n, const service_endpoint& e) {
    auto to = e.address + ':' + std::to_string(e.port);
    auto hash = short_hash(n.id + '/' + s.protocol + '>' + to + '@' + std::to_string(s.affinity_seconds), 16);
    auto clients = "aff-" + hash;
    out_.sets[clients] = {"set",
                          "type ipv4_addr; flags dynamic,timeout; timeout " + std::to_string(s.affinity_seconds) +
                              "s; size " + std::to_string(limits::affinity_clients_max) + ";",
                          {},
                          true};
    out_.chains["sep-" + hash] = service_chain(n.id, {"update @" + clients + " { ip saddr }", translation(s, to)});
    return {"sep-" + hash, clients};
  }

  nft_chain balancing(const service_port& s, const names& n, const std::vector<service_endpoint>& to,
                      bool for_cluster_address) {
    std::vector<std::string> rules;
    if (for_cluster_address && !s.cluster_ip.empty() && !config_.cluster_cidr.empty())
      rules.push_back("ip saddr != " + config_.cluster_cidr + " ip daddr " + s.cluster_ip +
                      " meta mark set meta mark | " + mark_text());
    std::string choices;
    for (std::size_t i = 0; i < to.size(); ++i) {
      choices += (i ? ", " : "") + std::to_string(i) + " : ";
      if (s.affinity_seconds > 0) {
        auto [chain, clients] = endpoint_chain(s, n, to[i]);
        rules.push_back("ip saddr @" + clients + " goto " + chain);
        choices += "goto " + chain;
      } else {
        choices += to[i].address + " . " + std::to_string(to[i].port);
      }
    }
    auto chance = "numgen random mod " + std::to_string(to.size());
    if (s.affinity_seconds > 0)
      rules.push_back(chance + " vmap { " + choices + " }");
    else if (to.size() > 1)
      rules.push_back(translation(s, chance + " map { " + choices + " }"));
    else
      rules.push_back(translation(s, to[0].address + ':' + std::to_string(to[0].port)));
    return service_chain(n.id, std::move(rules));
  }

  void external(const service_port& s, const names& n, const std::vector<service_endpoint>& outer) {
    std::vector<std::string> rules;
    auto mark = "meta mark set meta mark | " + mark_text();
    if (!s.external_local && !outer.empty()) {
      rules = {mark, "goto " + n.svc};
    } else if (s.external_local && !s.endpoints.empty()) {
      // Inside the cluster the policy does not apply: pods and the host itself reach all endpoints.
      if (!config_.cluster_cidr.empty()) rules.push_back("ip saddr " + config_.cluster_cidr + " goto " + n.svc);
      rules.push_back("fib saddr type local " + mark);
      rules.push_back("fib saddr type local goto " + n.svc);
      if (!outer.empty()) rules.push_back("goto " + n.svl);
    }
    if (!rules.empty()) out_.chains[n.ext] = service_chain(n.id, rules);
    auto enter = [&](const char* suffix, const std::string& key) {
      if (!rules.empty()) out_.sets[std::string{"service-"} + suffix].elements[key] = "goto " + n.ext;
      if (outer.empty()) out_.sets[std::string{"refused-"} + suffix].elements[key] = refusal(s);
    };
    auto tail = protocol_number(s.protocol) + " . ";
    for (const auto& a : s.external_ips)
      enter("ips", a + " . " + tail + std::to_string(s.port));
    if (s.node_port != 0) enter("nodeports", tail + std::to_string(s.node_port));
  }

  const proxy_config& config_;
  nft_rules out_;
};

} // namespace

std::string nft_table(const proxy_config& c) {
  std::string id;
  for (unsigned char x : c.cluster_id)
    if (std::isalnum(x) || x == '-') id += static_cast<char>(std::tolower(x));
  return "troupe-" + id.substr(0, 64) + "-services";
}

nft_rules plan_nft(const std::vector<service_port>& services, const proxy_config& c) {
  planner p{c};
  for (const auto& s : usable(services))
    p.add(s);
  return p.take();
}

} // namespace troupe::net
