// scheduling: which threads run our actors. One queue of actors that have something to do, workers that sleep while it
//             is empty.
// Owner:  the actor system; call once, in its config's constructor.
// Units:  threads; messages that one actor handles before others have their turn.
// Errors: -
// Source: ours, within the interface of CAF's scheduler policies. CAF's own work sharing wakes a worker while it holds
//         the queue's lock: the worker runs at once, finds it taken and sleeps again. That made two more switches of
//         threads for each message to an actor that was idle, and a write crosses a dozen.
#pragma once

#include <cstddef>

namespace caf {
class actor_system_config;
}

namespace troupe {

void configure_scheduler(caf::actor_system_config& config, std::size_t threads, std::size_t messages_at_once = 100);

} // namespace troupe
