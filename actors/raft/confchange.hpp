// confchange: the next configuration of a group from the present one and a change.
// Owner:  free functions.
// Units:  -
// Errors: empty optional when the change is not allowed now; `why` then holds a sentence.
// Source: Raft thesis 4.1 (one member at a time), 4.3 (joint consensus); etcd raft confchange.
//
// One step goes directly; several go through a joint phase, in which both majorities must agree, and which the leader
// ends by itself. A voter that becomes a learner keeps its vote in the outgoing majority until the joint phase ends.
#pragma once

#include "actors/raft/raft_types.hpp"

namespace troupe::raft {

std::optional<group_config> changed(const group_config& now, const members_change& change, std::string& why);

std::string encode_change(const members_change& c);
bool decode_change(std::string_view bytes, members_change& out);

} // namespace troupe::raft
