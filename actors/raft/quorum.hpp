// quorum: majorities, single and joint.
// Owner:  free functions.
// Units:  -
// Errors: an empty voter set commits everything and wins every vote, so that the empty half of a joint
//         configuration never decides.
// Source: Raft thesis 4.3; etcd raft quorum.
#pragma once

#include "actors/raft/raft_types.hpp"

#include <functional>
#include <map>

namespace troupe::raft {

enum class vote_outcome : std::uint8_t { pending, won, lost };

log_index committed_index(const std::vector<member_id>& voters, const std::function<log_index(member_id)>& match);
log_index committed_index(const group_config& c, const std::function<log_index(member_id)>& match);

vote_outcome count_votes(const std::vector<member_id>& voters, const std::map<member_id, bool>& votes);
vote_outcome count_votes(const group_config& c, const std::map<member_id, bool>& votes);

bool contains(const std::vector<member_id>& ids, member_id who);
bool is_voter(const group_config& c, member_id who);
/// Voters and learners of all kinds, sorted, each once.
std::vector<member_id> all_members(const group_config& c);

} // namespace troupe::raft
