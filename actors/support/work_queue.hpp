// work_queue: keys that need attention: each at most once, never twice at the same time, later after failures.
// Owner:  one actor; pure, time is an argument.
// Units:  back-off doubles from initial to max per failure in a row.
// Errors: -
// Source: Kubernetes client-go util/workqueue.
//
// A key added while it is being worked on is worked on once more afterwards, however often it was added.
#pragma once

#include "api/meta/time.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace troupe {

class work_queue {
public:
  work_queue(std::chrono::microseconds initial, std::chrono::microseconds max) : initial_(initial), max_(max) {}

  void add(std::string_view key);
  /// Not before `when`; an earlier time already set stays.
  void add_at(std::string_view key, sys_micros when);
  /// Takes the next key; it counts as busy until done() or failed().
  std::optional<std::string> take();
  void done(const std::string& key);
  /// Comes back after the back-off of this key.
  void failed(const std::string& key, sys_micros now);
  /// Moves keys whose time has come. Returns when to call again.
  std::optional<sys_micros> flush(sys_micros now);

  bool ready() const noexcept { return !ready_.empty(); }
  bool busy(std::string_view key) const;
  std::size_t size() const noexcept { return keys_.size(); }

private:
  struct entry {
    bool queued = false, busy = false, again = false;
    std::uint32_t failures = 0;
    std::optional<sys_micros> due;
  };
  using map = std::unordered_map<std::string, entry>;
  void drop_if_idle(map::iterator it);

  std::chrono::microseconds initial_, max_;
  map keys_;
  std::deque<std::string> ready_;
  std::set<std::pair<sys_micros, std::string>> timed_;
};

} // namespace troupe
