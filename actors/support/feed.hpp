// feed: list+watch of one table for one actor; the same history and objects that HTTP watchers see.
// Owner:  one actor; drain is called on its thread only. The hub holds the actor weakly.
// Units:  at most limits::feed_batch events per drain, so that one busy table cannot starve the mailbox.
// Errors: falling behind the window ends in on_sync with a fresh view, never in a lost event.
// Source: Kubernetes informers (reflector); ours: pull by cursor with one outstanding wake as credit.
//
// Use inside an actor:
//   feed pods_{env, "pods", feed::waker(self, 0)};         // 0: tag that comes back in the wake message
//   pods_.start();                                          // sends the first wake
//   handler: [=](feed_wake, int tag) { if (pods_.drain(on_sync, on_event)) pods_.again(); }
#pragma once

#include "store/view.hpp"
#include "store/watch_hub.hpp"

#include <caf/actor_cast.hpp>
#include <caf/atom.hpp>
#include <caf/fwd.hpp>

#include <functional>
#include <memory>
#include <string>

namespace troupe {

using feed_wake = caf::atom_constant<caf::atom("feedwake")>;

class feed {
public:
  using sync_fn = std::function<void(const store::view& now)>;
  using event_fn = std::function<void(const store::event&)>;

  feed(std::shared_ptr<store::published> state, std::shared_ptr<store::watch_hub> hub, std::string table,
       std::function<void()> wake);

  /// A wake function that sends `(feed_wake, tag)` to the actor without keeping it alive.
  static std::function<void()> waker(caf::event_based_actor* self, int tag);

  void start() { again(); }
  /// Sends another wake to the owner; call when drain returned true.
  void again() { wake_(); }
  /// Delivers what is new. The first call (and any call after falling too far behind) calls on_sync with the whole
  /// state: what the owner knew before is to be replaced. Returns true when more may be waiting.
  bool drain(const sync_fn& on_sync, const event_fn& on_event);

  const std::string& table() const noexcept { return table_; }
  bool synced() const noexcept { return synced_; }
  store::revision cursor() const noexcept { return cursor_; }

private:
  std::shared_ptr<store::published> state_;
  std::shared_ptr<store::watch_hub> hub_;
  std::string table_;
  std::function<void()> wake_;
  std::unique_ptr<store::subscription> sub_;
  store::revision cursor_ = 0;
  bool synced_ = false;
};

} // namespace troupe
