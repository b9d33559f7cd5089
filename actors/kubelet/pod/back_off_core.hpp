// back_off_core: growing waits between failures of one thing (a container, a pull, a set-up step).
// Owner:  pod_core; plain value.
// Units:  durations in chrono; `first` doubles up to `most`, and is forgotten `2 * most` after the last failure.
// Errors: -
// Source: Kubernetes client-go flowcontrol.Backoff as the kubelet uses it.
//
// Example (first 10 s): a container that dies at once starts again at once (wait becomes 10 s), dies, waits until
// 10 s after that death (wait becomes 20 s), dies, waits 20 s, and so on to 300 s.
#pragma once

#include "actors/kubelet/pod/pod_model.hpp"

#include <algorithm>

namespace troupe::kubelet {

struct back_off_core {
  std::chrono::seconds first{10}, most{300};
  std::chrono::seconds wait{0};
  wall_time last{};

  /// When the thing may be tried again, given that it failed at `failed`; the epoch: at once.
  wall_time ready_at(wall_time failed) const noexcept {
    if (wait.count() == 0 || failed - last > 2 * most) return {};
    return failed + wait;
  }
  /// A try begins now: the next failure waits longer.
  void advance(wall_time now) noexcept {
    wait = wait.count() == 0 || now - last > 2 * most ? first : std::min(most, 2 * wait);
    last = now;
  }
  void reset() noexcept { wait = std::chrono::seconds{0}; }
};

} // namespace troupe::kubelet
