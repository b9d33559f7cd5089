// raw_service: the store without the API's object model, as an api_actor: puts, linearizable gets and a snapshot, so
//              that a link can be measured against etcd with the same operations.
// Owner:  store_server; the links of its clients call it.
// Units:  keys and values are bytes; one table, one namespace.
// Errors: the store's own statuses.
// Source: ours; benchmarks only.
//
// create "pairs": the body is any number of (length, key, length, value), lengths as 4 bytes, little-endian: one
// transaction. get KEY: after a read barrier. get with subresource "status": the member's status document. get with
// subresource "snapshot", query offset=N: a piece of a snapshot; a header X-Last says that it was the last.
#pragma once

#include "actors/raft/raft_actor.hpp"

#include <caf/fwd.hpp>

namespace troupe::bench {

/// Writes and reads. Several may serve one store; each answers the calls it was given.
api_actor spawn_raw_service(caf::actor_system& sys, const raft_handles& store);

} // namespace troupe::bench
