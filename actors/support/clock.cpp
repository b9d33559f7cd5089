#include "actors/support/clock.hpp"

#include <caf/detail/test_actor_clock.hpp>

namespace troupe {

namespace {
/// 2026-01-01T00:00:00Z.
constexpr sys_micros virtual_start{std::chrono::seconds{1767225600}};
} // namespace

sys_micros wall_now(const caf::actor_clock& clock) noexcept {
  using std::chrono::microseconds;
  if (const auto* test = dynamic_cast<const caf::detail::test_actor_clock*>(&clock))
    return virtual_start + std::chrono::duration_cast<microseconds>(test->now().time_since_epoch());
  return std::chrono::time_point_cast<microseconds>(std::chrono::system_clock::now());
}

} // namespace troupe
