// raft_transport: the port through which a member of the group reaches the others.
// Owner:  given to spawn_raft; `send` is called on the Raft actor's thread and never blocks.
// Units:  at most limits::link_backlog_bytes wait for one peer; beyond, parcels are dropped (Raft repeats itself).
// Errors: a parcel for a peer that cannot be reached is dropped silently; nothing is ever reordered within one link.
// Source: ours; implemented by the master mesh (TLS, BASP) and by the simulated network.
#pragma once

#include "actors/protocol.hpp"
#include "actors/raft/parcel.hpp"

#include <memory>

namespace troupe {

class raft_transport {
public:
  virtual ~raft_transport() = default;
  virtual void send(raft::parcel_ptr p) = 0;
  /// Where what arrives is to be sent, as (parcel_ptr); called once, before the first `send`. A null handle: nowhere.
  virtual void deliver_to(raft_actor inbox) = 0;
  /// Who belongs to the group now (all kinds of members); links to others may be closed.
  virtual void members(const std::vector<store::member_id>& all) = 0;
};

} // namespace troupe
