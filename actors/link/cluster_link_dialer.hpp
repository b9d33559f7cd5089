// cluster_link_dialer: keeps one session to one master open: dials, says hello, hands the session on, and dials again
//                      when it is over.
// Owner:  the cluster link; one thread per master. Callbacks run on that thread.
// Units:  limits::link::dial_patience, redial_*.
// Errors: told as sentences; the dialer goes on until it is stopped.
// Source: ours.
#pragma once

#include "actors/link/frame_loop.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace troupe::link {

struct dialer_options {
  master_address to;
  std::shared_ptr<const session_tls> tls;
  hello first;
  std::function<bool(const identity& peer, const std::string& master_name)> is_master; // may be empty
  /// A session stands. Its end is told by calling the function given along, from any thread, once.
  std::function<void(session, welcome, std::function<void()> over)> on_session;
  std::function<void(const std::string& why)> on_failure;
};

class dialer {
public:
  explicit dialer(dialer_options options);
  ~dialer(); // stops and joins
  dialer(const dialer&) = delete;
  /// Asks the thread to end; returns at once.
  void stop();
  const master_address& to() const noexcept { return o_.to; }

private:
  struct gate { // outlives the dialer in the hands of sessions
    std::mutex mutex;
    std::condition_variable changed;
    bool over = false, stopping = false;
  };
  void run();
  result<void> once();
  bool rest(std::chrono::milliseconds d);

  const dialer_options o_;
  const int stop_fd_;
  std::shared_ptr<gate> gate_ = std::make_shared<gate>();
  bool refused_ = false;
  std::thread thread_;
};

/// Dials, says hello and reads the welcome. `refused_us`: the master has said why not.
result<std::pair<session, welcome>> greet(const master_address& to, const std::shared_ptr<const session_tls>& tls,
                                          const hello& first, std::chrono::milliseconds patience, int stop_fd,
                                          bool* refused_us = nullptr);

} // namespace troupe::link
