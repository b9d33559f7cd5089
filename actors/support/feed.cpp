#include "actors/support/feed.hpp"

#include "actors/support/limits.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

namespace troupe {

feed::feed(std::shared_ptr<store::published> state, std::shared_ptr<store::watch_hub> hub, std::string table,
           std::function<void()> wake)
    : state_(std::move(state)), hub_(std::move(hub)), table_(std::move(table)), wake_(std::move(wake)) {
  sub_ = hub_->subscribe(table_, wake_);
}

std::function<void()> feed::waker(caf::event_based_actor* self, int tag) {
  caf::weak_actor_ptr weak{self->ctrl()};
  return [weak, tag] {
    if (auto strong = caf::actor_cast<caf::strong_actor_ptr>(weak))
      caf::anon_send(caf::actor_cast<caf::actor>(strong), feed_wake::value, tag);
  };
}

bool feed::drain(const sync_fn& on_sync, const event_fn& on_event) {
  if (!synced_) {
    auto now = state_->current();
    cursor_ = now->rev();
    synced_ = true;
    on_sync(*now);
  }
  auto got = hub_->pull(table_, cursor_, limits::feed_batch);
  if (got.too_old) {
    synced_ = false;
    return true;
  }
  for (const auto& e : got.events) {
    on_event(*e);
    cursor_ = e->rev;
  }
  if (got.events.size() >= limits::feed_batch) return true;
  if (got.upto > cursor_) cursor_ = got.upto;
  sub_->arm(cursor_);
  return false;
}

} // namespace troupe
