// supervisor: the root of the node's actor tree: starts components in order, restarts those that die, stops all.
// Owner:  the node; one actor, children by name.
// Units:  restart back-off in limits below; the count of restarts is kept per child.
// Errors: a child whose rule is `fatal` takes the node down loudly: `on_fatal` is called with its name and reason.
// Source: Erlang/OTP one-for-one supervision; ours: state comes back from the store, never from the dead actor.
#pragma once

#include "actors/support/component.hpp"

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace troupe::node {

namespace limits {
inline constexpr std::chrono::milliseconds restart_delay_min{200};
inline constexpr std::chrono::milliseconds restart_delay_max{30000};
/// A child that lived this long starts again with the shortest delay.
inline constexpr std::chrono::seconds restart_calm{60};
/// How long a child may take to stop before it is killed.
inline constexpr std::chrono::seconds stop_patience{8};
} // namespace limits

enum class restart_rule { always, fatal };

struct child_spec {
  std::string name; // as in the actor tree: scheduler, kubelet …
  restart_rule rule = restart_rule::always;
  std::function<caf::actor()> start;
  /// Watched only: somebody else starts and stops it (the store and the API, which all others stand on).
  bool foreign = false;
};

/// Next delay before a restart, given the former one and how long the child lived.
std::chrono::milliseconds next_restart_delay(std::chrono::milliseconds former,
                                             std::chrono::milliseconds lived) noexcept;

using stop_children = caf::atom_constant<caf::atom("stopkids")>;
/// Ends every child but the foreign ones, and starts it again after the shortest delay: what they remember is void.
using renew_children = caf::atom_constant<caf::atom("renewkids")>;

/// Starts the children in order. `stop_children` ends them in reverse order and is answered when all are gone.
/// `path` is its own place in the actor tree.
caf::actor spawn_supervisor(caf::actor_system& sys, std::shared_ptr<actor_board> board,
                            std::vector<child_spec> children, std::function<void(std::string)> on_fatal,
                            std::string path = "node");

} // namespace troupe::node
