#include "actors/support/scheduling.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/policy/unprofiled.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/coordinator.hpp>

#include <condition_variable>
#include <deque>
#include <mutex>

namespace troupe {

namespace {

/// The functions and their names are what CAF's coordinator and worker call.
class sharing final : public caf::policy::unprofiled {
public:
  struct coordinator_data {
    explicit coordinator_data(caf::scheduler::abstract_coordinator*) {}
    std::mutex mutex;
    std::condition_variable filled;
    std::deque<caf::resumable*> queue;
    std::size_t asleep = 0; // workers
  };
  struct worker_data {
    explicit worker_data(caf::scheduler::abstract_coordinator*) {}
  };

  template <class Coordinator>
  void central_enqueue(Coordinator* self, caf::resumable* job) {
    auto& c = d(self);
    bool wake = false;
    {
      std::lock_guard lock(c.mutex);
      c.queue.push_back(job);
      wake = c.asleep > 0;
    }
    if (wake) c.filled.notify_one();
  }
  template <class Worker>
  void external_enqueue(Worker* self, caf::resumable* job) {
    central_enqueue(self->parent(), job);
  }
  template <class Worker>
  void internal_enqueue(Worker* self, caf::resumable* job) {
    central_enqueue(self->parent(), job);
  }
  /// It has had its share of messages: behind all others.
  template <class Worker>
  void resume_job_later(Worker* self, caf::resumable* job) {
    central_enqueue(self->parent(), job);
  }
  template <class Worker>
  caf::resumable* dequeue(Worker* self) {
    auto& c = d(self->parent());
    std::unique_lock lock(c.mutex);
    while (c.queue.empty()) {
      ++c.asleep;
      c.filled.wait(lock);
      --c.asleep;
    }
    auto* job = c.queue.front();
    c.queue.pop_front();
    return job;
  }

  template <class Worker, class Fn>
  void foreach_resumable(Worker*, Fn) {}
  template <class Coordinator, class Fn>
  void foreach_central_resumable(Coordinator* self, Fn fn) {
    std::deque<caf::resumable*> rest;
    {
      std::lock_guard lock(d(self).mutex);
      rest.swap(d(self).queue);
    }
    for (auto* job : rest)
      fn(job);
  }
};

} // namespace

void configure_scheduler(caf::actor_system_config& config, std::size_t threads, std::size_t messages_at_once) {
  config.load<caf::scheduler::coordinator<sharing>>();
  config.set("scheduler.max-threads", threads);
  config.set("scheduler.max-throughput", messages_at_once);
}

} // namespace troupe
