// join: how a master that is no founder, or lost its data, gets its place in the group: it asks until it was added.
// Owner:  main thread of `up --node NAME`; blocks.
// Units:  pauses in chrono.
// Errors: a sentence; nothing when the process was told to stop meanwhile.
// Source: ours; /troupe/v1/members of the masters of the config.
#pragma once

#include "actors/node/node.hpp"

#include <functional>

namespace troupe::cli {

/// Decides which member `options.self` is and fills `member` and `masters` in. For a master without an id it says what
/// a person has to do, and waits for it. False: told to stop.
result<bool> find_membership(node::node_options& options, const node::cluster_identity& cluster,
                             const std::function<bool(std::chrono::milliseconds)>& pause);

} // namespace troupe::cli
