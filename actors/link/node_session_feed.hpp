// node_session_feed: tells one node what it may see of the cluster, in order and as fast as it takes it in.
// Owner:  an actor per session, spawned by node_sessions; ends with an exit message.
// Units:  limits::link::feed_*; at most the credit of the worker is on its way.
// Errors: a table the node's identities may not list and watch is told as empty, with a line in the log.
// Source: ours; store/watch_hub.hpp on both ends.
#pragma once

#include "actors/apiserver/rbac_index.hpp"
#include "actors/link/frame_loop.hpp"
#include "actors/raft/group_board.hpp"
#include "actors/support/component.hpp"

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

namespace troupe::link {

struct node_feed_options {
  frame_link_ptr link;
  std::string node;
  identity self; // of the node's certificate
  std::shared_ptr<store::published> state;
  std::shared_ptr<store::watch_hub> hub;
  std::shared_ptr<apiserver::rbac_index> rbac;
  std::shared_ptr<group_board> group; // null: the view is always the newest
  counters_ptr counters;              // may be null
};

/// On whose behalf a component of a node's process acts.
identity identity_of(component c, const identity& certificate);

/// Understands subscribe, unsubscribe and credit as `std::shared_ptr<const message>`.
caf::actor spawn_node_feed(caf::actor_system& sys, node_feed_options options);

/// Bit i: fed_tables[i] may be shown to this node.
unsigned permitted_tables(const rbac::rbac_rules& rules, const identity& node, const store::view& state);

} // namespace troupe::link

namespace troupe::link {
using message_ptr = std::shared_ptr<const message>;
}
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::link::message_ptr)
