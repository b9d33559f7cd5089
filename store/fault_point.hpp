// fault_point: places between two steps of the disk at which a test may end the process as kill -9 would.
// Owner:  store/*; armed by tests only, before any thread uses the store.
// Units:  the n-th point passed from now on, counted from 1; 0: never.
// Errors: -
// Source: ours. Only rare paths (a new term, an installed snapshot, data set aside) have such points.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace troupe::store {

inline std::atomic<std::int64_t> fault_countdown{0};
constexpr int fault_exit_code = 86;

inline void fault_point() {
  if (fault_countdown.load(std::memory_order_relaxed) > 0 && fault_countdown.fetch_sub(1) == 1)
    std::_Exit(fault_exit_code); // nothing is flushed, no destructor runs
}

} // namespace troupe::store
