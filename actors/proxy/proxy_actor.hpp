// proxy_actor: keeps the node's packet rules equal to the Services and EndpointSlices of the cluster.
// Owner:  spawned by the node's supervisor; its worker (detached, the one that blocks) is linked to it.
// Units:  one load at a time; what changes meanwhile goes into the next. Back-off 1 s doubling to 30 s.
// Errors: a failed load is logged, recorded as an event of the node and tried again; /healthz turns 503.
// Source: kube-proxy.
#pragma once

#include "actors/support/component.hpp"

#include <caf/fwd.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace troupe::net {
class service_proxy;
}

namespace troupe {

struct proxy_options {
  std::string cluster_id;
  std::string cluster_cidr; // pod addresses of the whole cluster
  std::string service_cidr;
  std::string mode = "auto"; // auto, iptables, nftables
  /// /healthz, /livez and /metrics of the proxy; port 0 chooses a free one (see proxy_status), empty address: none.
  std::string health_address = "0.0.0.0";
  std::uint16_t health_port = 10256;
  /// Tests and simulations give another loader, which must not block; empty: the kernel's.
  std::function<std::unique_ptr<net::service_proxy>()> make_rules;
};

/// Question: state as JSON text (mode, services, endpoints, loads, failures, last_error, health_port).
using proxy_status_atom = caf::atom_constant<caf::atom("proxystat")>;
/// Question: answered true when everything seen so far is loaded, false when loading it failed.
using proxy_flush_atom = caf::atom_constant<caf::atom("proxyflush")>;

/// env.node_name decides which endpoints are local. Understands proxy_status_atom and proxy_flush_atom.
/// Stop: exit_reason::user_shutdown; the rules stay, so that Services go on while the process restarts.
caf::actor spawn_proxy(caf::actor_system& sys, component_env env, proxy_options options);

/// Removes every Service rule of the cluster, of both modes; for `down --purge`. Blocks for milliseconds.
result<void> remove_proxy_rules(const std::string& cluster_id);

} // namespace troupe
