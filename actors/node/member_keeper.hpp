// member_keeper: carries out what people ask of the group of masters: list, add, remove, promote, hand over the lead.
// Owner:  the node of a master; one actor on every master; it acts where the group is led.
// Units:  limits below; at most orders_max orders wait at a time.
// Errors: answers carry a Status with the reason: 404 unknown name, 409 not allowed now, 503 no leader.
// Source: ours. Level-triggered: a row of the directory says what its member is to be (voter, learner, gone); the
// leader
//         changes the Raft configuration until it is so. A leader that dies in between is replaced by one that goes on.
//
// Asked on a follower, an order is written into the store as a row; the leader finds it there, carries it out and
// writes the answer into the row; the follower answers and erases it. So an order reaches the leader by the way every
// write does, needs no connection of its own and outlives a change of leaders.
#pragma once

#include "actors/node/member_planner.hpp"
#include "actors/support/component.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/fwd.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <chrono>
#include <memory>
#include <string>

namespace troupe {
class group_board;
}

namespace troupe::node {

namespace limits {
inline constexpr std::size_t orders_max = 64;                  // that wait on one master; more: 429
inline constexpr std::chrono::seconds order_patience{30};      // then 202: it goes on without the one who asked
inline constexpr std::chrono::seconds answer_slack{10};        // that a follower waits longer for the leader's answer
inline constexpr std::chrono::minutes order_age_max{5};        // rows nobody came back for are erased
inline constexpr std::chrono::milliseconds keeper_period{250}; // looks again, while something is under way
} // namespace limits

using member_order_ptr = std::shared_ptr<const member_order>;

using members_actor = caf::typed_actor<caf::replies_to<member_order_ptr>::with<response_ptr>>;

struct member_keeper_options {
  raft_actor raft;
  std::shared_ptr<group_board> group;
  std::shared_ptr<store::published> state;
  std::shared_ptr<store::watch_hub> hub;
  std::shared_ptr<actor_board> board; // may be null
  std::string growth_refusal;         // why this master can have no others; empty: it can
};

/// Ends with an exit message.
members_actor spawn_member_keeper(caf::actor_system& sys, member_keeper_options options);

} // namespace troupe::node

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::node::member_order_ptr)
