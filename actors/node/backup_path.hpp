// backup_path: GET /troupe/v1/backup: the whole state of this member as a stream of store/snapshot_codec.
// Owner:  called by the api server's threads; thread-safe.
// Units:  pieces of backup_piece_bytes; made as fast as the client takes them, on its connection's io thread.
// Errors: 405, 503 while the member holds no state; a client that goes away ends it. Writers are never held up: the
//         state is an immutable view.
// Source: ours; `troupe backup` is the client. Its end is checked by checksum, so a cut stream is never taken for
// whole.
#pragma once

#include "actors/apiserver/apiserver.hpp"

#include <caf/fwd.hpp>

#include <cstddef>

namespace troupe::node {

inline constexpr std::size_t backup_piece_bytes = 128 * 1024;

/// True when the path is this one; then the call is or will be answered.
bool answer_backup_path(caf::actor_system& sys, const raft_actor& raft, const own_call& call);

} // namespace troupe::node
