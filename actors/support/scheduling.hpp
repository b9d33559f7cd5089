// scheduling: which threads run our actors. One queue of actors that have something to do, workers that sleep while it
//             is empty; and brief actors, which the thread that gave them something runs itself.
// Owner:  the actor system; call `configure_scheduler` once, in its config's constructor. A `run_here` is its thread's,
//         and that thread is joined before the actor system is destroyed: an actor that ends in a turn is cleaned up
//         there while the system no longer counts it, and then destroyed there.
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

/// A base of actors whose handlers take microseconds and never block: any thread may run them.
class brief_actor {
protected:
  ~brief_actor() = default;
};

/// For a thread that is about to wait, or has said its last word: a brief actor that gets its first message from this
/// thread while this lives is run by this thread when it ends, instead of by a worker that must be woken for it. So a
/// write or a read crosses the actors on its way without a switch of threads. What such actors wake in turn is run
/// here, too, up to `jobs_max`; the rest, and who has more than `messages_each` waiting, goes to the workers. Make none
/// with a lock held, and wait for no brief actor while it lives: nobody else runs what it keeps. Within another one it
/// does nothing.
class run_here {
public:
  static constexpr std::size_t jobs_max = 16;
  static constexpr std::size_t messages_each = 8;

  run_here();
  ~run_here();
  run_here(const run_here&) = delete;
  run_here& operator=(const run_here&) = delete;

private:
  bool outermost_;
};

} // namespace troupe
