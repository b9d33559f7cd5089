#include "actors/apiserver/view_pins.hpp"

#include "actors/apiserver/limits.hpp"

namespace troupe::apiserver {

void view_pins::expire(time_point now) {
  for (auto it = kept_.begin(); it != kept_.end();) {
    if (now - it->second.used > limits::pinned_view_age_max)
      it = kept_.erase(it);
    else
      ++it;
  }
}

void view_pins::pin(store::view_ptr v, time_point now) {
  std::lock_guard lock(mutex_);
  expire(now);
  const auto rev = v->rev();
  kept_.insert_or_assign(rev, pinned{std::move(v), now});
  while (kept_.size() > limits::pinned_views_max)
    kept_.erase(kept_.begin());
}

store::view_ptr view_pins::find(store::revision rev, time_point now) {
  std::lock_guard lock(mutex_);
  expire(now);
  auto it = kept_.find(rev);
  if (it == kept_.end()) return nullptr;
  it->second.used = now;
  return it->second.what;
}

std::size_t view_pins::size() const {
  std::lock_guard lock(mutex_);
  return kept_.size();
}

} // namespace troupe::apiserver
