// parcel: everything one master sends another in one message: Raft messages, forwarded writes, state hashes.
// Owner:  nobody; plain values. Encoded by parcel_codec for the wire; moved as they are in a simulation.
// Units:  encoded at most limits::parcel_bytes_max; larger batches go as several parcels.
// Errors: -
// Source: ours. A parcel may be lost, repeated or late: every part says for which term or index it holds.
#pragma once

#include "actors/raft/raft_types.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace troupe::raft {

/// Names one proposal for ever: the life of the member that took it, and a number within that life. It travels in the
/// entry's payload, so that its proposer knows its own when it applies it.
struct write_id {
  std::uint64_t life = 0;
  std::uint64_t number = 0;
  friend auto operator<=>(const write_id&, const write_id&) = default;
};

/// Follower -> leader: append these. Valid in `term` only: a leader of another term refuses them, so a write that is
/// not seen in the log before a later term's first entry has not happened and may be proposed again.
struct forward_writes {
  log_term term;
  /// Names this attempt: the sender's life and a number that grows. A leader heeds each attempt once, for a parcel may
  /// come twice, and neither appending twice nor refusing what was appended would be true.
  write_id batch;
  std::vector<bytes_ptr> payloads; // each begins with its write_id, see write_ledger.hpp
};
/// Leader -> follower: these were not appended and will not be.
struct refused_writes {
  log_term term;
  refusal why = refusal::none;
  write_id batch; // the attempt that is refused: a later one may have been appended
  std::vector<write_id> ids;
};
/// Every member, after it applied a check entry.
struct state_hash {
  log_index at;
  std::uint64_t hash = 0;
};
/// Leader -> the member whose state differs from the majority's.
struct diverged {
  log_index at;
  std::uint64_t expected = 0, found = 0;
};
struct parcel {
  member_id from, to;
  std::vector<message> messages;
  std::vector<forward_writes> forwards;
  std::vector<refused_writes> refusals;
  std::vector<state_hash> hashes;
  std::vector<diverged> verdicts;
  bool empty() const {
    return messages.empty() && forwards.empty() && refusals.empty() && hashes.empty() && verdicts.empty();
  }
};
using parcel_ptr = std::shared_ptr<parcel>; // one owner at a time

} // namespace troupe::raft

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::raft::parcel_ptr)
