// watch_window: the watch hub: per table a bounded run of events in revision order, and who waits for more.
// Owner:  appended to by the raft actor only; pulled and armed on any thread.
// Units:  limits::window_*; all bounds can be lowered for tests.
// Errors: pull_result::too_old when the cursor lies before what is kept.
// Source: store/watch_hub.hpp.
#pragma once

#include "store/limits.hpp"
#include "store/state_machine.hpp"
#include "store/watch_hub.hpp"

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

namespace troupe::store {

class watch_window final : public watch_hub {
public:
  struct bounds {
    std::size_t events_max = limits::window_events_max;
    std::size_t bytes_max = limits::window_bytes_max;
    std::size_t hub_bytes_max = limits::hub_bytes_max;
  };
  explicit watch_window(bounds b);
  watch_window() : watch_window(bounds{}) {}
  ~watch_window() override;

  /// Everything up to `floor` is unknown to the hub; it has seen everything from there to `seen`. What it held before
  /// is forgotten: watchers behind the floor are woken and told that they are too old.
  void start(revision floor, revision seen);
  /// Takes the changes of one or more transactions, in revision order, and announces that all up to `seen` is in.
  /// The events carry the revisions of their objects, or `at` when it is not 0: what a reader may see can change later
  /// than the object did.
  void append(const std::vector<change_record>& changes, revision seen, revision at = 0);

  pull_result pull(std::string_view table, revision cursor, std::size_t limit) const override;
  std::unique_ptr<subscription> subscribe(std::string_view table, std::function<void()> wake) override;

  std::size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  revision seen() const noexcept { return seen_->load(std::memory_order_acquire); }

private:
  struct waiter;
  struct table;
  class handle;

  std::shared_ptr<table> find(std::string_view name) const;
  std::shared_ptr<table> find_or_make(std::string_view name);
  void forget_oldest(table& t);
  void shrink_to_hub_limit();

  const bounds bounds_;
  mutable std::shared_mutex tables_lock_;
  std::map<std::string, std::shared_ptr<table>, std::less<>> tables_;
  std::shared_ptr<std::atomic<revision>> seen_ = std::make_shared<std::atomic<revision>>(0); // handles outlive the hub
  std::atomic<revision> floor_{0};
  std::atomic<std::size_t> bytes_{0};
};

} // namespace troupe::store
