// master_mesh: the links between the masters of one group: who is reachable, and the Raft group's transport over them.
// Owner:  the node. Threads: the port's listener, one dialer per peer with a higher member id. One actor, the gateway,
//         is the only one whose handle leaves the process.
// Units:  actors/link/mesh_limits.hpp.
// Errors: make and start: a sentence with the address. A refused or unreachable peer is logged with its reason, shown
//         by status(), and tried again for ever.
// Source: design section 9: BASP over sessions that are ours; the lower member id dials the higher.
#pragma once

#include "actors/link/basp_session.hpp"
#include "actors/link/mesh_hello.hpp"
#include "actors/raft/raft_transport.hpp"
#include "net/link/secure_listener.hpp"

#include <caf/fwd.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace troupe {

struct mesh_options {
  caf::actor_system* system = nullptr; // configured by configure_middleman; outlives the mesh
  store::member_id self;
  std::string name, cluster_id;
  std::string store;      // see mesh_hello
  std::uint64_t life = 0; // see mesh_hello; 0: drawn
  std::string address;    // to listen on
  std::uint16_t port = 0; // 0: any free one
  std::string ca_pem;
  tls::key_pair own; // pki::master
  std::vector<mesh_peer> peers;
  /// Plain TCP without any proof of who the other side is. For benchmarks only.
  bool plain_tcp_for_benchmarks = false;
  /// One more opinion on who says hello (stale data directory, …): a refusal or nothing. Any thread.
  std::function<std::string(const mesh_hello&)> judge;
};

struct mesh_peer_status {
  mesh_peer at;
  bool connected = false;
  std::chrono::system_clock::time_point since; // of the present state
  std::string last_error;                      // why there is no link, or why the last one ended
  std::chrono::nanoseconds round_trip{0};      // of the last ping; 0: none yet
  std::uint64_t links = 0;                     // made so far
  std::uint64_t sent_parcels = 0, sent_bytes = 0, received_parcels = 0, received_bytes = 0, dropped_parcels = 0;
  std::size_t backlog_bytes = 0;
};

class master_mesh : public raft_transport {
public:
  /// Sessions of workers and consoles come through the same port; before start(). See secure_listener::on_session.
  virtual void on_worker_session(link::secure_listener::on_session handler) = 0;
  virtual result<void> start() = 0;
  /// Ends all links and threads; nothing is delivered after it returns. Before the actor system ends. Idempotent.
  virtual void stop() = 0;
  /// Who the others are and where: new ones are dialed, gone ones hung up on, moved ones dialed at the new address.
  virtual void set_peers(std::vector<mesh_peer> peers) = 0;
  virtual std::vector<mesh_peer_status> peers() const = 0; // by member id
  /// Calls `fn(peer, connected)` on changes, on some thread of the mesh; must only post. Before start().
  virtual void on_change(std::function<void(store::member_id, bool connected)> fn) = 0;
  virtual std::uint16_t port() const = 0;
  virtual link::listener_counts listener() const = 0;
};

/// Takes the port at once; links are made from start() on.
result<std::shared_ptr<master_mesh>> make_master_mesh(mesh_options options);

} // namespace troupe
