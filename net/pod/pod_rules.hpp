// pod_rules: the packet rules of the pod network: masquerade to the outside, protection of the host's loopback
// addresses, and acceptance of forwarded pod traffic where another program's FORWARD chain drops by default.
// Owner:  bridge_network.
// Units:  -
// Errors: status with the loader's words.
// Source: CNI bridge ipMasq; kube-proxy KUBE-FORWARD and KUBE-FIREWALL.
//
// The rules are an nftables table of ours. A drop policy in an iptables FORWARD chain (Docker sets one) cannot be
// overruled from another table, so there, and only where such a chain exists, a chain of ours is put in front.
#pragma once

#include "net/pod/network.hpp"

#include <string>

namespace troupe::net {

/// The nftables transaction that makes the table anew (pure).
std::string pod_table_text(const pod_network_config&);
std::string pod_table_name(const pod_network_config&);
/// iptables-restore texts for hosts without nftables, and for the FORWARD chain (pure).
std::string pod_nat_text(const pod_network_config&, bool jump_exists);
std::string pod_filter_text(const pod_network_config&, bool forward_jump_exists, bool input_jump_exists);

result<void> load_pod_rules(const pod_network_config&);
result<void> remove_pod_rules(const pod_network_config&);

} // namespace troupe::net
