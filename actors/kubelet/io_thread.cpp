#include "actors/kubelet/io_thread.hpp"

#include "actors/support/component.hpp"

#include <spdlog/spdlog.h>

namespace troupe::kubelet {

namespace {
/// A handler that throws must not end the thread: the others go on.
void run(boost::asio::io_context& context) {
  for (;;) {
    try {
      context.run();
      return;
    } catch (const std::exception& e) {
      component_log("kubelet")->error("io thread: {}", e.what());
    }
  }
}
} // namespace

io_thread::io_thread() : thread_([c = context_.get()] { run(*c); }) {}

io_thread::~io_thread() {
  guard_.reset();
  context_->stop();
  if (thread_.get_id() == std::this_thread::get_id()) {
    // The last owner went away inside a handler: run still stands on the context, which therefore is left alone.
    (void)context_.release();
    thread_.detach();
    return;
  }
  thread_.join();
}

} // namespace troupe::kubelet
