// mesh_gateway: the one actor of a master whose handle other masters have: brings up links and passes parcels on.
// Owner:  master_mesh, which spawns it again should it die: a peer of BASP could kill it. Its links end with it.
// Units:  actors/link/mesh_limits.hpp.
// Errors: a link that breaks, stays silent or sends what is no parcel is closed and its peer_entry told why.
// Source: ours; docs/decisions/0006. A link's BASP session is closed for certain before the next one of the same peer
//         is handed over: BASP keeps proxies of the old one otherwise, and they never work again.
#pragma once

#include "actors/link/mesh_table.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/atom.hpp>
#include <caf/fwd.hpp>

#include <functional>
#include <memory>

namespace troupe::mesh {

/// A session whose hello has been found good; to be answered by the gateway.
struct accepted_session {
  link::session session;
  mesh_hello theirs;
  peer_ptr peer;
};
using accepted_ptr = std::shared_ptr<accepted_session>; // one owner
/// A session whose hello has been answered.
struct dialed_session {
  link::session session;
  mesh_answer answer;
  peer_ptr peer;
};
using dialed_ptr = std::shared_ptr<dialed_session>; // one owner

using session_closed = caf::atom_constant<caf::atom("closed")>; // with the link's number
using look_round = caf::atom_constant<caf::atom("lookround")>;

/// What the gateway shares with the mesh; outlives it.
struct shared_parts {
  mesh_hello mine;
  table peers;
  void deliver(raft::parcel_ptr p) const; // to the inbox, if there is one
  void set_inbox(raft_actor to);
  std::function<void(store::member_id, bool)> on_change; // may be empty

private:
  mutable std::mutex mutex_;
  raft_actor inbox_;
};

caf::actor spawn_gateway(caf::actor_system& sys, std::shared_ptr<shared_parts> parts);

} // namespace troupe::mesh

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::mesh::accepted_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::mesh::dialed_ptr)
