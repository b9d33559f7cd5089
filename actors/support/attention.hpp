// attention: how long a loop that waits goes on looking for something to do before it sleeps. A thread that sleeps on a
//            processor that sleeps is woken late, by 20 to 50 us on a virtual machine, and a write or a read crosses
//            half a dozen such threads.
// Owner:  one loop; its thread.
// Units:  `longest` at a time at most, and only while something comes about as often: where it comes more seldom,
//         nothing is looked for at all, and where others need the processor, nothing for a while.
// Errors: -
// Source: ours, docs/decisions/0011; growing and shrinking follow the halt polling of Linux' KVM.
#pragma once

#include <chrono>

namespace troupe {

class attention {
public:
  using instant = std::chrono::steady_clock::time_point;
  using duration = std::chrono::steady_clock::duration;

  static constexpr std::chrono::microseconds longest{700};
  static constexpr std::chrono::microseconds first{40}; // the shortest that is worth its trouble
  /// Between two looks others may run, as long as they like. If they take so long there is much to do, and we are in
  /// their way.
  static constexpr std::chrono::microseconds crowded_after{400};
  static constexpr std::chrono::milliseconds rest_first{5}, rest_longest{640};

  /// Looks by `once` until that says that it found something. False: sleep now, and call `woke` afterwards. Others that
  /// are ready to run on this processor do so between two looks.
  template <class Once>
  bool look(Once&& once) {
    if (!begin(std::chrono::steady_clock::now())) return false;
    do {
      if (once()) {
        found();
        return true;
      }
      give_way();
    } while (go_on(std::chrono::steady_clock::now()));
    return false;
  }
  void woke() { woke(std::chrono::steady_clock::now()); }

  // The decisions, as functions of time.

  /// There is nothing to do. False: looking is not worth it.
  bool begin(instant now);
  /// Looked in vain. False: that was long enough.
  bool go_on(instant now);
  void found();
  /// Slept, and something came, or it was time.
  void woke(instant now);

private:
  static void give_way();

  duration window_{0}; // how long it looks
  duration rest_{rest_first};
  instant began_, looked_;
  instant rested_at_; // before, nothing is looked for
};

} // namespace troupe
