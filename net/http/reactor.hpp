// reactor: one io thread: its context, its connections and the sweep that enforces their deadlines.
// Owner:  the server; everything but post runs on its thread.
// Units:  sweeps once a second while connections live.
// Errors: -
// Source: ours: shared nothing between io threads.
#pragma once

#include "net/http/server.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <thread>
#include <unordered_set>

namespace troupe::http {

class connection;
class websocket_session;

struct counters {
  std::atomic<std::uint64_t> connections{0}, accepted{0}, requests{0}, handshakes_failed{0};
};

struct shared_setup {
  server_options options;
  handler on_request;
  counters stats;
};

class reactor {
public:
  explicit reactor(std::shared_ptr<shared_setup> setup);

  boost::asio::io_context& context() { return ctx_; }
  shared_setup& setup() { return *setup_; }
  void run();
  void stop(); // any thread; run returns afterwards
  void join();

  void enter(connection* c);
  void leave(connection* c);
  void enter(websocket_session* s) { sockets_.insert(s); }
  void leave(websocket_session* s) { sockets_.erase(s); }
  /// Value of the Date header, made once a second.
  const std::string& date();

private:
  void arm_sweep();
  void close_all();

  std::shared_ptr<shared_setup> setup_;
  boost::asio::io_context ctx_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  boost::asio::steady_timer timer_{ctx_};
  std::unordered_set<connection*> live_;
  std::unordered_set<websocket_session*> sockets_;
  std::thread thread_;
  bool sweeping_ = false, stopping_ = false;
  std::string date_;
  std::int64_t date_at_ = 0;
};

} // namespace troupe::http
