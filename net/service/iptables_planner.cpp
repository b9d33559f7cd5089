#include "net/service/iptables_planner.hpp"

#include "net/service/limits.hpp"
#include "net/service/service_text.hpp"

#include <array>
#include <cctype>
#include <cstdio>

namespace troupe::net {

namespace {

constexpr std::array shared_names{"SERVICES", "NODEPORTS", "POSTROUTING", "MARK-MASQ", "REJECT"};
constexpr std::array service_kinds{"SVC-", "SVL-", "EXT-", "SEP-"};

std::string upper(std::string text) {
  for (auto& c : text)
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

/// A rule before it gets its comment: what it matches and what it does.
struct draft {
  std::string match, action, comment;
};

std::string finished(const draft& d, const std::string& comment) {
  auto out = d.match;
  if (!out.empty()) out += ' ';
  if (!comment.empty()) out += "-m comment --comment \"" + comment + "\" ";
  return out + d.action;
}

/// The fingerprint of the whole chain sits in the comment of its first rule.
iptables_chain ordered_chain(const std::vector<draft>& drafts) {
  iptables_chain out;
  for (const auto& d : drafts)
    out.rules.push_back(finished(d, d.comment));
  if (!drafts.empty())
    out.rules.front() = finished(drafts.front(), drafts.front().comment + " #" + fingerprint_of(out.rules));
  return out;
}

/// Rules that stand alone carry a fingerprint each.
void add_alone(iptables_chain& chain, const draft& d) {
  chain.ordered = false;
  chain.rules.push_back(finished(d, d.comment + " #" + short_hash(finished(d, d.comment), 12)));
}

std::string to_port(const std::string& protocol, std::uint16_t port) {
  return "-p " + protocol + " -m " + protocol + " --dport " + std::to_string(port);
}

/// Writes the chains of all Services into one rule set.
class planner {
public:
  explicit planner(const proxy_config& c) : config_(c), prefix_(iptables_prefix(c)) {
    nat()[prefix_ + "SERVICES"].ordered = false;
    nat()[prefix_ + "NODEPORTS"].ordered = false;
    filter()[prefix_ + "REJECT"].ordered = false;
    shared_chains();
    jumps();
  }

  void add(const service_port& s) {
    auto id = identity_of(s);
    names n;
    n.id = id;
    auto hash = upper(short_hash(id + '/' + s.protocol, hash_size()));
    n.svc = prefix_ + "SVC-" + hash;
    n.svl = prefix_ + "SVL-" + hash;
    n.ext = prefix_ + "EXT-" + hash;
    bool outside = !s.external_ips.empty() || s.node_port != 0;
    auto inner = internal_endpoints(s), outer = external_endpoints(s);
    bool cluster_wide = !s.endpoints.empty() && ((!s.cluster_ip.empty() && !s.internal_local) || outside);
    bool local = (!s.cluster_ip.empty() && s.internal_local && !inner.empty()) ||
                 (outside && s.external_local && !outer.empty());
    if (cluster_wide) nat()[n.svc] = balancing(s, n, s.endpoints, !s.internal_local);
    if (local) nat()[n.svl] = balancing(s, n, local_only(s.endpoints), s.internal_local);
    if (!s.cluster_ip.empty()) cluster_address(s, n, inner);
    if (outside) external(s, n, outer);
  }

  iptables_rules take() { return std::move(out_); }

private:
  struct names {
    std::string id, svc, svl, ext;
  };

  std::map<std::string, iptables_chain>& nat() { return out_.tables["nat"]; }
  std::map<std::string, iptables_chain>& filter() { return out_.tables["filter"]; }
  std::size_t hash_size() const { return std::min<std::size_t>(16, 28 - prefix_.size() - 4); }

  void shared_chains() {
    char mark[48];
    std::snprintf(mark, sizeof mark, "0x%x/0x%x", limits::masquerade_mark, limits::masquerade_mark);
    char unmark[48];
    std::snprintf(unmark, sizeof unmark, "0x0/0x%x", limits::masquerade_mark);
    nat()[prefix_ + "MARK-MASQ"] =
        ordered_chain({{"", std::string{"-j MARK --set-xmark "} + mark, "masquerade later"}});
    nat()[prefix_ + "POSTROUTING"] =
        ordered_chain({{std::string{"-m mark ! --mark "} + mark, "-j RETURN", "not marked"},
                       {"", std::string{"-j MARK --set-xmark "} + unmark, ""},
                       {"", "-j MASQUERADE --random-fully", ""}});
  }

  void jumps() {
    // Each is put in front of the others, so the last named comes first.
    for (const char* hook : {"PREROUTING", "OUTPUT"}) {
      out_.jumps["nat"].emplace_back(hook, "-m addrtype --dst-type LOCAL -j " + prefix_ + "NODEPORTS");
      out_.jumps["nat"].emplace_back(hook, "-j " + prefix_ + "SERVICES");
    }
    out_.jumps["nat"].emplace_back("POSTROUTING", "-j " + prefix_ + "POSTROUTING");
    for (const char* hook : {"INPUT", "FORWARD", "OUTPUT"})
      out_.jumps["filter"].emplace_back(hook, "-m conntrack --ctstate NEW -j " + prefix_ + "REJECT");
  }

  std::string endpoint_chain(const service_port& s, const names& n, const service_endpoint& e) {
    auto to = e.address + ':' + std::to_string(e.port);
    auto name = prefix_ + "SEP-" + upper(short_hash(n.id + '/' + s.protocol + '>' + to, hash_size()));
    std::string remember;
    if (s.affinity_seconds > 0) remember = " -m recent --set --name " + name + " --mask 255.255.255.255 --rsource";
    nat()[name] =
        ordered_chain({{"-s " + e.address + "/32", "-j " + prefix_ + "MARK-MASQ", n.id + " to itself"},
                       {"-p " + s.protocol + remember + " -m " + s.protocol, "-j DNAT --to-destination " + to, ""}});
    return name;
  }

  /// A client that was here before goes where it went; all others by chance: 1/n, 1/(n-1), …, 1.
  iptables_chain balancing(const service_port& s, const names& n, const std::vector<service_endpoint>& to,
                           bool for_cluster_address) {
    std::vector<draft> rules;
    if (for_cluster_address && !s.cluster_ip.empty() && !config_.cluster_cidr.empty())
      rules.push_back({"! -s " + config_.cluster_cidr + " -d " + s.cluster_ip + "/32 " + to_port(s.protocol, s.port),
                       "-j " + prefix_ + "MARK-MASQ", ""});
    std::vector<std::string> chains;
    for (const auto& e : to)
      chains.push_back(endpoint_chain(s, n, e));
    if (s.affinity_seconds > 0)
      for (const auto& c : chains)
        rules.push_back({"-m recent --rcheck --seconds " + std::to_string(s.affinity_seconds) + " --reap --name " + c +
                             " --mask 255.255.255.255 --rsource",
                         "-j " + c, ""});
    for (std::size_t i = 0; i < chains.size(); ++i) {
      char chance[64] = {};
      if (i + 1 < chains.size())
        std::snprintf(chance, sizeof chance, "-m statistic --mode random --probability %.10f",
                      1.0 / static_cast<double>(chains.size() - i));
      rules.push_back({chance, "-j " + chains[i], ""});
    }
    rules.front().comment = n.id;
    return ordered_chain(rules);
  }

  /// Nobody is there: say so at once. Somebody is there but not on this node: the policy says drop.
  void refuse(const service_port& s, const names& n, const std::string& match) {
    bool nobody = s.endpoints.empty();
    // A reset is not rate-limited as ICMP errors are.
    std::string reject = s.protocol == "tcp" ? "tcp-reset" : "icmp-port-unreachable";
    add_alone(filter()[prefix_ + "REJECT"], {match, nobody ? "-j REJECT --reject-with " + reject : "-j DROP",
                                             n.id + (nobody ? " has no endpoints" : " has no local endpoints")});
  }

  void cluster_address(const service_port& s, const names& n, const std::vector<service_endpoint>& inner) {
    auto match = "-d " + s.cluster_ip + "/32 " + to_port(s.protocol, s.port);
    if (inner.empty()) return refuse(s, n, match);
    add_alone(nat()[prefix_ + "SERVICES"], {match, "-j " + (s.internal_local ? n.svl : n.svc), n.id + " cluster IP"});
  }

  void external(const service_port& s, const names& n, const std::vector<service_endpoint>& outer) {
    std::vector<draft> rules;
    if (!s.external_local && !outer.empty()) {
      rules.push_back({"", "-j " + prefix_ + "MARK-MASQ", n.id});
      rules.push_back({"", "-j " + n.svc, ""});
    } else if (s.external_local && !s.endpoints.empty()) {
      // Inside the cluster the policy does not apply: pods and the host itself reach all endpoints.
      if (!config_.cluster_cidr.empty()) rules.push_back({"-s " + config_.cluster_cidr, "-j " + n.svc, ""});
      rules.push_back({"-m addrtype --src-type LOCAL", "-j " + prefix_ + "MARK-MASQ", ""});
      rules.push_back({"-m addrtype --src-type LOCAL", "-j " + n.svc, ""});
      if (!outer.empty()) rules.push_back({"", "-j " + n.svl, ""});
      rules.front().comment = n.id;
    }
    if (!rules.empty()) nat()[n.ext] = ordered_chain(rules);
    for (const auto& address : s.external_ips) {
      auto match = "-d " + address + "/32 " + to_port(s.protocol, s.port);
      if (!rules.empty()) add_alone(nat()[prefix_ + "SERVICES"], {match, "-j " + n.ext, n.id + " external IP"});
      if (outer.empty()) refuse(s, n, match);
    }
    if (s.node_port == 0) return;
    auto match = to_port(s.protocol, s.node_port);
    if (!rules.empty()) add_alone(nat()[prefix_ + "NODEPORTS"], {match, "-j " + n.ext, n.id + " node port"});
    if (outer.empty()) refuse(s, n, "-m addrtype --dst-type LOCAL " + match);
  }

  const proxy_config& config_;
  std::string prefix_;
  iptables_rules out_;
};

} // namespace

std::string iptables_prefix(const proxy_config& c) {
  std::string id;
  for (unsigned char x : c.cluster_id)
    if (std::isalnum(x)) id += static_cast<char>(x);
  // Chain names have at most 28 characters; the hash of an endpoint needs eight of them.
  if (id.empty() || id.size() > 8) id = short_hash(c.cluster_id, 8);
  return "TROUPE-" + upper(id) + '-';
}

bool is_service_chain(std::string_view chain, std::string_view prefix) {
  if (!chain.starts_with(prefix)) return false;
  chain.remove_prefix(prefix.size());
  for (std::string_view name : shared_names)
    if (chain == name) return true;
  for (std::string_view kind : service_kinds)
    if (chain.starts_with(kind)) return true;
  return false;
}

iptables_rules plan_iptables(const std::vector<service_port>& services, const proxy_config& c) {
  planner p{c};
  for (const auto& s : usable(services))
    p.add(s);
  return p.take();
}

} // namespace troupe::net
