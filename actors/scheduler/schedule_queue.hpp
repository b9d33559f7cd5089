// schedule_queue: pods that wait for a node: ready to try, backing off, unschedulable until something changes, gated.
// Owner:  scheduler_actor; pure, time is an argument.
// Units:  back-off doubles from initial to max per failed attempt.
// Errors: -
// Source: kube-scheduler PriorityQueue (activeQ, backoffQ, unschedulablePods).
//
//   add ──▶ active ──pop──▶ (planned) ──fits──▶ gone, or back by retry() when the binding fails
//             ▲                │ refused
//             │                ▼
//          backoff ◀──move── unschedulable
#pragma once

#include "actors/scheduler/pod_request.hpp"
#include "api/meta/time.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace troupe::sched {

struct queue_options {
  std::chrono::microseconds backoff_initial{1'000'000}, backoff_max{10'000'000}, unschedulable_retry{300'000'000};
};

class schedule_queue {
public:
  explicit schedule_queue(queue_options o) : options_(o) {}

  /// New or changed pending pod. A change of spec makes an unschedulable pod try again.
  void put(const pod_ptr& p, sys_micros now);
  void remove(std::string_view uid);
  void clear();
  /// The most important pod that is ready: priority first, then waiting time. It leaves the queue but keeps its
  /// attempts until remove() or done().
  pod_ptr pop();
  /// No node fits: waits for move() or the retry period.
  void refused(const pod_ptr& p, sys_micros now);
  /// The binding failed: tries again after its back-off.
  void retry(const pod_ptr& p, sys_micros now);
  /// Bound: forgets its attempts.
  void done(std::string_view uid);
  /// Something changed that may help those for which `pred` holds.
  void move(sys_micros now, const std::function<bool(const pod_request&)>& pred = {});
  /// Moves what is due. Returns when to call again.
  std::optional<sys_micros> flush(sys_micros now);

  bool ready() const noexcept { return !active_.empty(); }
  std::size_t size() const noexcept { return entries_.size(); }
  std::size_t active() const noexcept { return active_.size(); }
  std::size_t unschedulable() const noexcept { return unschedulable_; }

private:
  enum class place : std::uint8_t { active, backoff, unschedulable, gated, out };
  struct entry {
    pod_ptr pod;
    place where = place::out;
    unsigned attempts = 0;
    std::uint64_t order = 0;
    sys_micros due{};        // of backoff and unschedulable
    sys_micros not_before{}; // end of the back-off of the last attempt
  };
  using map = std::unordered_map<std::string, entry>;
  void leave(const std::string& uid, entry& e);
  void enter(const std::string& uid, entry& e, place where, sys_micros due = {});
  sys_micros backoff_end(const entry& e, sys_micros now) const;

  queue_options options_;
  map entries_;
  std::set<std::tuple<std::int64_t, std::uint64_t, std::string>> active_; // (-priority, order, uid)
  std::set<std::pair<sys_micros, std::string>> timed_;
  std::uint64_t next_order_ = 0;
  std::size_t unschedulable_ = 0;
};

} // namespace troupe::sched
