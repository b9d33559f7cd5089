// cluster_link: what a worker has instead of a store: the masters' API, and a mirror of the objects its node may see.
// Owner:  the node's supervisor; one actor (calls, choice of master, mirror), one dialing thread per master, one i/o
//         thread. Components get `api`, `state` and `hub` in their component_env and do not know the difference.
// Units:  link/link_limits.hpp.
// Errors: calls that cannot be carried out are answered with a Status: 503 no master is reachable, 504 the fate of a
//         write is unknown. Nothing throws; a master that refuses this node is logged with its sentence.
// Source: design sections 3 and 9.
#pragma once

#include "actors/protocol.hpp"
#include "net/link/secure_session.hpp"

#include <caf/fwd.hpp>

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

namespace troupe {
class actor_board;
}

namespace troupe::link {

/// Where a master listens for workers (the actor port).
struct master_address {
  std::string name, address;
  std::uint16_t port = 0;
  friend bool operator==(const master_address&, const master_address&) = default;
};

struct cluster_link_options {
  std::shared_ptr<const session_tls>
      tls; // own certificate: system:node:NAME in group system:nodes. Null: plain (tests)
  std::string node_name, cluster_id;
  std::vector<master_address> masters; // at least one; more are learned from the masters
  std::shared_ptr<actor_board> board;  // may be null
  /// Whether the certificate of the other side is a master's; a worker's certificate must not pass for one.
  std::function<bool(const identity& peer, const std::string& master_name)> is_master;
};

/// How the link is, for `actors`, /metrics and tests.
struct cluster_link_status {
  std::string active;            // name of the master asked now; empty: none
  std::vector<std::string> open; // masters with a session
  std::string last_failure;      // sentence about the last session that could not be had or was lost
  std::uint64_t switches = 0;    // how often another master became the active one
  std::uint64_t relists = 0;     // tables taken over whole, the first time included
  std::uint64_t starts_over = 0; // how often the state had been put back to an older one
  std::size_t calls_waiting = 0; // outstanding
};

class cluster_link {
public:
  virtual ~cluster_link() = default; // stops
  /// The node's kubelet, for logs, exec, attach, port-forward and stats from any master. Again after each restart.
  virtual void serve(kubelet_actor door) = 0;
  /// Called when the cluster's state was put back to an older one and this node has read it anew: what components
  /// remember (revisions above all) is worth nothing. At once when that has happened already. Must only post or send.
  virtual void on_start_over(std::function<void()> tell) = 0;
  virtual cluster_link_status status() const = 0;
  /// Ends sessions and threads; outstanding calls are answered with 503. Idempotent; any thread but the link's own.
  virtual void stop() = 0;
};

struct cluster_link_handles {
  api_actor api;
  std::shared_ptr<store::published> state; // revision 0 and empty until `ready`
  std::shared_ptr<store::watch_hub> hub;
  /// Set when all tables are there for the first time. A kubelet must not start before: it would take the absence of
  /// its pods for their deletion.
  std::shared_future<void> ready;
  std::shared_ptr<cluster_link> link;
};

/// Returns at once; masters are dialed in the background, forever.
result<cluster_link_handles> spawn_cluster_link(caf::actor_system& sys, cluster_link_options options);

} // namespace troupe::link
