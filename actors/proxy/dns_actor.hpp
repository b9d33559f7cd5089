// dns_actor: serves the names of the cluster on this node and keeps Service kube-system/kube-dns pointing to it.
// Owner:  spawned by the node's supervisor; owns the dns_server and its thread.
// Units:  -
// Errors: a listen failure is logged as one sentence and retried with back-off (1 s doubling to 30 s).
// Source: Kubernetes DNS-Based Service Discovery 1.1.0; kube-dns Service as kubeadm makes it.
#pragma once

#include "actors/support/component.hpp"

#include <caf/fwd.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

struct dns_options {
  std::string domain = "cluster.local";
  std::string listen_address;         // the bridge's gateway address
  std::uint16_t port = 53;            // where it is taken, a free port is used: the EndpointSlice says which
  std::string cluster_cidr;           // pod addresses
  std::string service_address;        // of kube-system/kube-dns: the 10th of the service range
  std::vector<std::string> upstreams; // empty: the host's resolv.conf
};

/// Question: state as JSON text (address, port, services, queries, forwarded, failures).
using dns_status_atom = caf::atom_constant<caf::atom("dnsstat")>;

/// The 10th address of a service range: 10.96.0.0/12 -> 10.96.0.10.
std::string dns_service_address(std::string_view service_cidr);

/// Understands dns_status_atom. env.who must be allowed to write Services and EndpointSlices of kube-system.
/// Stop: exit_reason::user_shutdown.
caf::actor spawn_dns(caf::actor_system& sys, component_env env, dns_options options);

} // namespace troupe
