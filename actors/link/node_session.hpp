// node_session: a master's side of the sessions of workers (and of other clients of the link): calls, feeds, streams.
// Owner:  the node; one i/o thread for all sessions; per worker one actor for its feed and one as its kubelet's door.
// Units:  link/link_limits.hpp; a peer that exceeds a bound is held back or closed with a reason.
// Errors: whoever may not have a session gets one sentence that names both sides, then the end of the stream.
// Source: design section 9; authorization as for the API: node authorizer and RBAC.
#pragma once

#include "actors/apiserver/node_directory.hpp"
#include "actors/link/cluster_link.hpp"
#include "actors/raft/group_board.hpp"

namespace troupe::link {

struct node_sessions_options {
  std::string cluster_id, master_name;
  std::vector<api_actor> api; // calls of one session go to one of them; at least one
  std::shared_ptr<store::published> state;
  std::shared_ptr<store::watch_hub> hub;
  std::shared_ptr<group_board> group;    // null: this master always serves
  std::shared_ptr<node_directory> nodes; // connected kubelets are entered here; may be null
  std::shared_ptr<actor_board> board;    // may be null
  /// Who the other side of a plain TCP session is; benchmarks and tests only. Empty: plain sessions are refused.
  identity plain_peer;
};

class node_sessions {
public:
  virtual ~node_sessions() = default; // stops
  /// Takes an established session and its first frame; never blocks. Fits secure_listener::serve(workers_protocol, …).
  virtual void accept(session s, std::string hello) = 0;
  /// Tells every client where the masters are now.
  virtual void set_masters(std::vector<master_address> masters) = 0;
  /// Names of the nodes that have a session, sorted.
  virtual std::vector<std::string> connected() const = 0;
  /// Says good-bye to every client and ends; outstanding calls are cut. Idempotent.
  virtual void stop() = 0;
};

result<std::shared_ptr<node_sessions>> make_node_sessions(caf::actor_system& sys, node_sessions_options options);

} // namespace troupe::link
