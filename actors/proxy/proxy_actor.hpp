// proxy_actor: keeps the node's packet rules equal to the Services and EndpointSlices of the cluster.
// Owner:  spawned by the node's supervisor; its worker (detached) is linked to it and dies with it.
// Units:  one apply at a time; what changes meanwhile goes into the next. Back-off 1 s doubling to 30 s.
// Errors: a failed apply is logged, recorded as an event of the node and tried again; /healthz turns 503.
// Source: kube-proxy.
#pragma once

#include "actors/support/component.hpp"

#include <caf/fwd.hpp>

#include <cstdint>
#include <string>

namespace troupe {

struct proxy_options {
  std::string cluster_id;
  std::string cluster_cidr; // pod addresses of the whole cluster
  std::string service_cidr;
  std::string mode = "auto"; // auto, iptables, nftables
  /// /healthz and /metrics of the proxy; port 0 chooses a free one (see proxy_status), empty address: none.
  std::string health_address = "0.0.0.0";
  std::uint16_t health_port = 10256;
};

using proxy_status_atom = caf::atom_constant<caf::atom("proxystat")>;
using proxy_flush_atom = caf::atom_constant<caf::atom("proxyflush")>;

using proxy_actor = caf::typed_actor<
    /// State as JSON: mode, services, endpoints, applies, last error, health port.
    caf::replies_to<proxy_status_atom>::with<std::string>,
    /// Answers true when everything seen so far is in the kernel.
    caf::replies_to<proxy_flush_atom>::with<bool>>;

/// env.node_name decides which endpoints are local.
caf::actor spawn_proxy(caf::actor_system& sys, component_env env, proxy_options options);

/// Removes every rule of the cluster; for `down --purge`. Callable without an actor system.
result<void> remove_proxy_rules(const std::string& cluster_id);

} // namespace troupe
