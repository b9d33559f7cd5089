// nft_planner: Services to one nftables table of maps, sets and chains, and the smallest transaction between two.
// Owner:  nft_proxy; pure.
// Units:  -
// Errors: -
// Source: kube-proxy nftables mode; ours: one chain per Service port (endpoint chains only for session affinity),
//         hairpin by a set of address pairs.
#pragma once

#include "net/service/service_rules.hpp"

#include <map>
#include <string>
#include <vector>

namespace troupe::net {

struct nft_chain {
  std::string head; // `type nat hook prerouting priority -100;` for base chains
  std::vector<std::string> rules;
  friend bool operator==(const nft_chain&, const nft_chain&) = default;
};
struct nft_set {
  std::string kind, declaration;               // `set` or `map`; `type …;` without elements
  std::map<std::string, std::string> elements; // key -> value; empty value in plain sets
  bool learned = false;                        // filled by packets (affinity): elements are not ours to change
  friend bool operator==(const nft_set&, const nft_set&) = default;
};
struct nft_rules {
  std::string table;
  std::map<std::string, nft_chain> chains;
  std::map<std::string, nft_set> sets;
};

nft_rules plan_nft(const std::vector<service_port>& services, const proxy_config&);
/// Commands of one transaction; empty when equal.
std::string diff_nft(const nft_rules& held, const nft_rules& wanted);

/// What the kernel holds, from `list table` as JSON: chains whose fingerprint comment equals the wanted chain's are
/// returned as that chain, others as a chain that differs, so that diff_nft touches only these.
nft_rules read_nft(const json::value& listed, const nft_rules& wanted);

std::string nft_table(const proxy_config&); // troupe-<id>-services

} // namespace troupe::net
