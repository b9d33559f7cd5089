// watch_hub: bounded history of events per table, encoded once, pulled by any number of watchers.
// Owner:  written by the store actor only; read from any thread (HTTP watchers, informers).
// Units:  each table keeps at most limits::window_events_max events and limits::window_bytes_max bytes.
// Errors: a cursor older than the window gets pull_result::too_old (HTTP 410 Expired); the watcher relists.
// Source: Kubernetes watch semantics (k8s API section "Watch"); ours: pull by cursor, so that a slow watcher
//         costs no memory: it falls behind and is told so.
#pragma once

#include "store/object.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::store {

enum class event_type : std::uint8_t { added, modified, deleted };

struct event {
  event_type type = event_type::added;
  revision rev = 0;
  object_ptr current;  // for deleted: the last state, its bytes carrying the deletion's resourceVersion
  object_ptr previous; // null for added; the state before, for selector transitions
  /// `{"type":"ADDED","object":{…}}\n`, encoded on first use and then shared; thread-safe.
  const std::string& line() const;

private:
  mutable std::once_flag once_;
  mutable std::string line_;
};
using event_ptr = std::shared_ptr<const event>;

struct pull_result {
  std::vector<event_ptr> events;
  /// The store revision up to which the watcher has now seen everything of its table (for bookmarks).
  revision upto = 0;
  bool too_old = false;
  revision oldest = 0; // oldest revision a cursor may start from, when too_old
};

/// Unsubscribes when destroyed.
class subscription {
public:
  virtual ~subscription() = default;
  /// Arms the notifier once more: it will be called one time when there is an event after `cursor`
  /// (at once when there is one already).
  virtual void arm(revision cursor) = 0;
};

class watch_hub {
public:
  virtual ~watch_hub() = default;
  /// Events of `table` with revision > cursor, at most `limit`.
  virtual pull_result pull(std::string_view table, revision cursor, std::size_t limit) const = 0;
  /// `wake` is called on the store actor's thread (or inside arm): it must only post or send.
  virtual std::unique_ptr<subscription> subscribe(std::string_view table, std::function<void()> wake) = 0;
};

} // namespace troupe::store
