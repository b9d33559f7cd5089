// view_pins: snapshots kept for a while, so that the pages of one list are one snapshot.
// Owner:  shared; thread-safe.
// Units:  limits::pinned_views_max, limits::pinned_view_age_max.
// Errors: a revision that is not kept any more gives null: the caller turns to the history (past_view.hpp).
// Source: ours; a view costs nothing but what changed after it.
#pragma once

#include "store/view.hpp"

#include <chrono>
#include <map>
#include <mutex>

namespace troupe::apiserver {

class view_pins {
public:
  using time_point = std::chrono::steady_clock::time_point;
  void pin(store::view_ptr v, time_point now);
  store::view_ptr find(store::revision rev, time_point now);
  std::size_t size() const;

private:
  struct pinned {
    store::view_ptr what;
    time_point used;
  };
  void expire(time_point now);
  mutable std::mutex mutex_;
  std::map<store::revision, pinned> kept_;
};

} // namespace troupe::apiserver
