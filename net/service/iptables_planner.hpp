// iptables_planner: Services to iptables chains, and the smallest iptables-restore text from one state to another.
// Owner:  iptables_proxy; pure.
// Units:  chain names at most 28 characters.
// Errors: -
// Source: kube-proxy iptables mode (proxier.go), chain by chain; ours: the shared chains change rule by rule.
#pragma once

#include "net/service/service_rules.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::net {

/// A chain is either replaced as a whole (its rules are ordered) or changed rule by rule (order does not matter).
struct iptables_chain {
  bool ordered = true;
  std::vector<std::string> rules; // `-d 10.96.0.1/32 … -j X`, without `-A CHAIN`
  friend bool operator==(const iptables_chain&, const iptables_chain&) = default;
};

struct iptables_rules {
  /// table -> chain -> rules; only chains of our prefix.
  std::map<std::string, std::map<std::string, iptables_chain>> tables;
  /// table -> (built-in chain, rule) that leads into ours.
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> jumps;
};

iptables_rules plan_iptables(const std::vector<service_port>& services, const proxy_config&);

/// What the kernel holds, read back from iptables-save: chains by fingerprint, since the tool rewrites rule texts.
struct iptables_kernel {
  struct chain {
    std::string fingerprint;                          // of an ordered chain
    std::map<std::string, std::string> rule_by_print; // of an unordered chain: fingerprint -> rule as saved
    std::size_t rules = 0;
  };
  std::map<std::string, std::map<std::string, chain>> tables;
  std::set<std::pair<std::string, std::string>> jumps; // (built-in chain, our chain) prefixed by table + '/'
};
iptables_kernel read_iptables(std::string_view table, std::string_view saved, std::string_view prefix);

/// Restore text from the state `held` to `wanted`; empty when they are equal.
std::string diff_iptables(const iptables_rules& held, const iptables_rules& wanted);
/// The same for the first call after a start.
std::string reconcile_iptables(const iptables_kernel& held, const iptables_rules& wanted);

/// Restore text that removes every Service chain of this cluster found in a save; empty when there is none.
std::string removal_iptables(std::string_view table, std::string_view saved, const proxy_config&);

std::string iptables_prefix(const proxy_config&); // TROUPE-<ID>-
/// Whether the chain is one of the Service chains of this prefix (the pod network has others).
bool is_service_chain(std::string_view chain, std::string_view prefix);

} // namespace troupe::net
