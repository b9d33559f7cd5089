#include "actors/kubelet/work_pool.hpp"

#include "actors/kubelet/limits.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace troupe::kubelet {

namespace {

class inline_executor final : public executor {
public:
  bool post(std::function<void()> job) override {
    job();
    return true;
  }
};

struct pool_state {
  std::mutex mutex;
  std::condition_variable wake, ended;
  std::deque<std::function<void()>> jobs;
  unsigned threads = 0, idle = 0;
  bool stop = false;
};

/// One thread: takes jobs until told to stop or idle for long.
void serve(const std::shared_ptr<pool_state>& s) {
  std::unique_lock lock{s->mutex};
  for (;;) {
    ++s->idle;
    s->wake.wait_for(lock, std::chrono::seconds{10}, [&] { return s->stop || !s->jobs.empty(); });
    --s->idle;
    if (s->jobs.empty()) break;
    auto job = std::move(s->jobs.front());
    s->jobs.pop_front();
    lock.unlock();
    job();
    job = nullptr; // what it holds is released outside of the lock
    lock.lock();
  }
  --s->threads;
  s->ended.notify_all();
}

class thread_pool final : public executor {
public:
  explicit thread_pool(unsigned threads_max) : threads_max_(threads_max) {}

  ~thread_pool() override {
    std::unique_lock lock{state_->mutex};
    state_->stop = true;
    state_->jobs.clear();
    state_->wake.notify_all();
    state_->ended.wait(lock, [&] { return state_->threads == 0; });
  }

  bool post(std::function<void()> job) override {
    std::lock_guard lock{state_->mutex};
    if (state_->stop || state_->jobs.size() >= limits::work_queue_max) return false;
    state_->jobs.push_back(std::move(job));
    if (state_->idle < state_->jobs.size() && state_->threads < threads_max_) {
      ++state_->threads;
      std::thread([s = state_] { serve(s); }).detach(); // the destructor waits for the count
    }
    state_->wake.notify_one();
    return true;
  }

private:
  unsigned threads_max_;
  std::shared_ptr<pool_state> state_ = std::make_shared<pool_state>();
};

} // namespace

std::shared_ptr<executor> make_work_pool(unsigned threads_max) {
  if (threads_max == 0) return std::make_shared<inline_executor>();
  return std::make_shared<thread_pool>(threads_max);
}

} // namespace troupe::kubelet
