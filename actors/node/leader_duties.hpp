// leader_duties: starts what only the leader runs (scheduler, controllers, …) when this member begins to lead, and ends
//                it before anything of a later term begins.
// Owner:  the node, or a simulated member; one actor, children by name. Ends them when it ends.
// Units:  delays and patience are those of supervisor.hpp.
// Errors: a duty that dies is started again with a growing delay; one that does not stop is killed.
// Source: Erlang/OTP one-for-one supervision; ours: fencing by term.
//
// Two guards keep a deposed leader harmless. This actor ends the components of a term before it starts those of a later
// one. And each component puts its term into its writes (component_env::fence_term): the log refuses a write of another
// term than the entry's own, however late it arrives, so the time between losing the lead and noticing it is safe too.
#pragma once

#include "actors/raft/group_board.hpp"
#include "actors/support/component.hpp"

#include <caf/actor.hpp>
#include <caf/atom.hpp>
#include <caf/fwd.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace troupe::node {

struct duty {
  std::string name; // as in the actor tree: scheduler, controllers
  /// Starts it with component_env::fence_term = term.
  std::function<caf::actor(std::uint64_t term)> start;
};

/// Ends the duties, then the actor; answered with true when all are gone.
using stop_duties = caf::atom_constant<caf::atom("stopduties")>;

/// Runs the duties in order while group->now().serving. An exit message ends them too.
caf::actor spawn_leader_duties(caf::actor_system& sys, std::shared_ptr<group_board> group, std::vector<duty> duties,
                               std::shared_ptr<actor_board> board);

} // namespace troupe::node
