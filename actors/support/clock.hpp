// clock: wall time for components, taken through the actor system's clock.
// Owner:  -; any thread.
// Units:  microseconds since the epoch, UTC.
// Errors: -
// Source: ours: CAF clocks are steady; under the testing scheduler wall time starts at a fixed instant and moves with
// it.
#pragma once

#include "api/meta/time.hpp"

#include <caf/actor_clock.hpp>

namespace troupe {

/// The system clock for a running node; for a test clock a fixed start plus its virtual time, so that runs replay.
sys_micros wall_now(const caf::actor_clock& clock) noexcept;

} // namespace troupe
