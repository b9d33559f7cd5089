// recorder: writes the history of a run and keeps one number that depends on every record, in order.
// Owner:  the world's thread.
// Units:  -
// Errors: -
// Source: ours; two runs of one seed must end with the same number.
#pragma once

#include "tests/sim/history.hpp"

#include <functional>
#include <set>

namespace troupe::sim {

struct totals {
  std::uint64_t steps = 0, parcels = 0, operations = 0, faults = 0, elections = 0, applied = 0, watch_events = 0;
  std::uint64_t api_calls = 0, starts = 0, snapshots = 0, barriers = 0, config_changes = 0;
};

class recorder {
public:
  explicit recorder(std::function<instant()> clock) : clock_(std::move(clock)) {}

  history log;
  totals sums;
  /// Depends on all records so far.
  std::uint64_t running_hash() const noexcept { return hash_; }
  /// Anything else that must be the same in each run of a seed.
  template <class... Ts>
  void mix(Ts... values) noexcept {
    ((hash_ = (hash_ ^ static_cast<std::uint64_t>(values)) * 0x9e3779b97f4a7c15ull, hash_ ^= hash_ >> 29), ...);
  }

  stamp now() noexcept {
    const stamp s{clock_(), ++order_};
    mix(s.at.count(), s.order);
    return s;
  }

  // Each takes a record without its stamp.
  void stored(stored_entry e);
  void applied(applied_entry e);
  void adopted(state_adopted s);
  void stopped(member_id m, std::uint32_t life);
  void role(role_change r);
  void claim(member_id m, log_term term);
  void changed(change c);
  void acked(acknowledged a);
  void watched(watch_step w);
  void fault_began(std::string what);

  /// Returns the operation's place in the history.
  std::size_t invoked(operation op);
  void completed(std::size_t at, outcome result, std::vector<slot_value> seen, revision rev);

private:
  std::function<instant()> clock_;
  std::uint64_t order_ = 0, hash_ = 1;
  std::set<std::pair<log_term, member_id>> claims_;
  std::pair<log_term, member_id> last_claim_;
};

} // namespace troupe::sim
