// work_pool: threads for calls that block (engine, network, volumes, registries), with a bounded queue.
// Owner:  kubelet_context; posted to from any thread; destroyed with the kubelet, which waits for running jobs.
// Units:  at most `threads_max` threads, made when needed, gone after 10 s of idleness.
// Errors: post returns false when limits::work_queue_max jobs wait: the caller fails its step.
// Source: ours.
#pragma once

#include <functional>
#include <memory>

namespace troupe::kubelet {

class executor {
public:
  virtual ~executor() = default;
  [[nodiscard]] virtual bool post(std::function<void()> job) = 0;
};

/// threads_max 0: jobs run at once inside post (simulations, hollow nodes).
std::shared_ptr<executor> make_work_pool(unsigned threads_max);

} // namespace troupe::kubelet
