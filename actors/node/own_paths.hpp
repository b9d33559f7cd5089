// own_paths: what /troupe/v1/… answers: the live actors, the Raft group, the node's images, log levels.
// Owner:  called by the api server's threads; thread-safe.
// Units:  -
// Errors: Status bodies as everywhere.
// Source: ours; actor-shell is the client.
#pragma once

#include "actors/apiserver/apiserver.hpp"
#include "actors/node/member_keeper.hpp"
#include "actors/support/component.hpp"
#include "runtime/engine.hpp"

#include <caf/fwd.hpp>

#include <functional>
#include <memory>

namespace troupe::node {

struct own_path_sources {
  std::shared_ptr<actor_board> board;
  std::shared_ptr<runtime::image_store> images; // null: this node runs no containers
  raft_actor raft;
  members_actor members; // null: /members and /leader are 404
};

std::function<void(own_call)> make_own_paths(caf::actor_system& sys, own_path_sources sources);

/// The counters of all actors as Prometheus text, for /metrics.
std::string actor_metrics(const actor_board& board);

} // namespace troupe::node
