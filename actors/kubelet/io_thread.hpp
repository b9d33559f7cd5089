// io_thread: the one thread that waits for sockets, pipes and inotify of a node's kubelet.
// Owner:  kubelet_context; stopped and joined when destroyed.
// Units:  -
// Errors: handlers never throw past it.
// Source: Boost.Asio.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
#include <thread>

namespace troupe::kubelet {

class io_thread {
public:
  io_thread();
  ~io_thread();
  io_thread(const io_thread&) = delete;
  boost::asio::io_context& context() noexcept { return *context_; }

private:
  std::unique_ptr<boost::asio::io_context> context_ = std::make_unique<boost::asio::io_context>(1);
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{context_->get_executor()};
  std::thread thread_;
};

} // namespace troupe::kubelet
