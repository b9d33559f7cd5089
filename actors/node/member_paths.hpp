// member_paths: /troupe/v1/members and /troupe/v1/leader: the masters as REST, for `troupe master` and actor-shell.
// Owner:  called by the api server's threads; thread-safe.
// Units:  GET /members; POST /members {name,address,apiPort,actorsPort,priority,learner}; DELETE /members/NAME;
//         POST /members/NAME/promote; POST /leader {name}.
// Errors: Status bodies as everywhere; 202 when it goes on without the caller.
// Source: ours. Whoever may use the path (system:masters, or RBAC by nonResourceURLs) may use it on any master.
#pragma once

#include "actors/apiserver/apiserver.hpp"
#include "actors/node/member_keeper.hpp"

#include <caf/fwd.hpp>

namespace troupe::node {

/// True when the path is one of these; then `call.done` is or will be called.
bool answer_member_path(caf::actor_system& sys, const members_actor& members, const own_call& call);

/// The order a call asks for; 400, 404 or 405 otherwise. Pure.
result<member_order> order_of(const own_call& call);

} // namespace troupe::node
