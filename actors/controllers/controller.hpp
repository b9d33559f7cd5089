// controller: the shape of every controller: changes mark keys, a key is reconciled against the world as it is now.
// Owner:  controller_manager; one thread. A reconcile is pure but for the controller's own notes about its keys.
// Units:  -
// Errors: -
// Source: Kubernetes controllers (level-triggered, one key at a time).
#pragma once

#include "actors/controllers/action.hpp"
#include "actors/controllers/cluster_cache.hpp"
#include "actors/support/work_queue.hpp"
#include "api/meta/names.hpp"
#include "store/view.hpp"
#include "store/watch_hub.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace troupe::ctl {

/// One event of a table. Items are set for the tables the cache keeps; raw objects always.
struct change {
  std::string_view table;
  item_ptr before, after;
  store::object_ptr raw_before, raw_after; // after null: deleted, before is then its last state
};

/// The answer to one action that asked for it.
struct result_note {
  const action* what = nullptr;
  int code = 0;
  std::string message;
};

struct world {
  const cluster_cache& cache;
  const store::view& live;
  sys_micros now;
  /// Delivers what the watch still holds back up to this revision, so that indexes are complete.
  std::function<void(store::revision)> catch_up;
};

class controller {
public:
  controller(std::string name, std::chrono::microseconds backoff_initial, std::chrono::microseconds backoff_max)
      : queue(backoff_initial, backoff_max), name_(std::move(name)) {}
  virtual ~controller() = default;

  virtual void observe(const change& c, const cluster_cache& cache, sys_micros now) = 0;
  /// A table that the cache does not keep was listed anew.
  virtual void relisted(std::string_view table, const store::view& now_view, sys_micros now) {}
  /// Every table is known; called once after start.
  virtual void all_synced(const cluster_cache& cache, sys_micros now) {}
  virtual outcome reconcile(const std::string& key, const world& w) = 0;
  virtual void result(const std::string& key, const result_note& r) {}

  const std::string& name() const noexcept { return name_; }
  work_queue queue;

private:
  std::string name_;
};

} // namespace troupe::ctl
