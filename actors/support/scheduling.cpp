#include "actors/support/scheduling.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/policy/unprofiled.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/coordinator.hpp>
#include <caf/scoped_execution_unit.hpp>

#include <array>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

namespace troupe {

namespace {

bool is_brief(caf::resumable* job) { return dynamic_cast<brief_actor*>(job) != nullptr; }

/// What the workers take from.
struct shared_queue {
  explicit shared_queue(caf::actor_system& sys) : unit(&sys) {}

  void push(caf::resumable* job) {
    bool wake = false;
    {
      std::lock_guard lock(mutex);
      jobs.push_back(job);
      wake = asleep > 0;
    }
    if (wake) filled.notify_one();
  }
  caf::resumable* pop() {
    std::unique_lock lock(mutex);
    while (jobs.empty()) {
      ++asleep;
      filled.wait(lock);
      --asleep;
    }
    auto* job = jobs.front();
    jobs.pop_front();
    return job;
  }

  std::mutex mutex;
  std::condition_variable filled;
  std::deque<caf::resumable*> jobs;
  std::size_t asleep = 0; // workers
  /// Of the actors that other threads than the workers run: they refer to it beyond their turn.
  caf::scoped_execution_unit unit;
};

/// What one thread keeps for itself.
class kept_jobs {
public:
  bool begin() { return !std::exchange(open_, true); }
  bool add(caf::resumable* job, shared_queue& from) {
    if (!open_ || taken_ == jobs_.size() || !is_brief(job)) return false;
    jobs_[taken_++] = {job, &from};
    return true;
  }
  void run() {
    for (std::size_t i = 0; i < taken_; ++i) // it grows meanwhile
      run(*jobs_[i].first, *jobs_[i].second);
    taken_ = 0;
    open_ = false;
  }

private:
  static void run(caf::resumable& job, shared_queue& from) {
    if (job.resume(&from.unit, run_here::messages_each) == caf::resumable::resume_later)
      from.push(&job);
    else
      caf::intrusive_ptr_release(&job);
  }

  std::array<std::pair<caf::resumable*, shared_queue*>, run_here::jobs_max> jobs_;
  std::size_t taken_ = 0;
  bool open_ = false;
};

thread_local kept_jobs kept;

/// The functions and their names are what CAF's coordinator and worker call.
class sharing final : public caf::policy::unprofiled {
public:
  struct coordinator_data : shared_queue {
    explicit coordinator_data(caf::scheduler::abstract_coordinator* c) : shared_queue(c->system()) {}
  };
  struct worker_data {
    explicit worker_data(caf::scheduler::abstract_coordinator*) {}
  };

  template <class Coordinator>
  void central_enqueue(Coordinator* self, caf::resumable* job) {
    if (!kept.add(job, d(self))) d(self).push(job);
  }
  template <class Worker>
  void external_enqueue(Worker* self, caf::resumable* job) {
    d(self->parent()).push(job);
  }
  template <class Worker>
  void internal_enqueue(Worker* self, caf::resumable* job) {
    central_enqueue(self->parent(), job);
  }
  /// It has had its share of messages: behind all others.
  template <class Worker>
  void resume_job_later(Worker* self, caf::resumable* job) {
    d(self->parent()).push(job);
  }
  template <class Worker>
  caf::resumable* dequeue(Worker* self) {
    return d(self->parent()).pop();
  }

  template <class Worker, class Fn>
  void foreach_resumable(Worker*, Fn) {}
  template <class Coordinator, class Fn>
  void foreach_central_resumable(Coordinator* self, Fn fn) {
    std::deque<caf::resumable*> rest;
    {
      std::lock_guard lock(d(self).mutex);
      rest.swap(d(self).jobs);
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

run_here::run_here() : outermost_(kept.begin()) {}

run_here::~run_here() {
  if (outermost_) kept.run();
}

} // namespace troupe
