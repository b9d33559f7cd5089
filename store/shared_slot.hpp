// shared_slot: a place for an immutable value that one thread replaces and any other takes.
// Owner:  whoever publishes; any thread.
// Units:  the lock is held for one copy or exchange of a pointer.
// Errors: -
// Source: ours. Rejected: std::atomic<std::shared_ptr>, which in libstdc++ 12 lets its lock go with a relaxed store
// when
//         it only reads: a data race by the standard, and in fact one where stores may overtake (ARM).
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace troupe::store {

template <class T>
class shared_slot {
public:
  explicit shared_slot(std::shared_ptr<T> first = nullptr) : now_(std::move(first)) {}

  std::shared_ptr<T> load() const {
    std::lock_guard lock(mutex_);
    return now_;
  }
  /// The value before is let go when the lock is.
  void store(std::shared_ptr<T> next) {
    std::lock_guard lock(mutex_);
    now_.swap(next);
  }

private:
  mutable std::mutex mutex_;
  std::shared_ptr<T> now_;
};

} // namespace troupe::store
