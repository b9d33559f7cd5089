#include "net/http/server.hpp"

#include "net/http/connection.hpp"
#include "net/http/limits.hpp"
#include "net/http/response_text.hpp"
#include "net/http/websocket.hpp"

#include <boost/asio/post.hpp>

#include <csignal>

namespace troupe::http {

reactor::reactor(std::shared_ptr<shared_setup> setup) : setup_(std::move(setup)), guard_(ctx_.get_executor()) {}

void reactor::run() {
  thread_ = std::thread([this] {
    for (;;) {
      try {
        ctx_.run();
        return;
      } catch (const std::exception&) {
        // One connection's fault must not end the thread; its state was dropped while unwinding.
      }
    }
  });
}

void reactor::stop() {
  boost::asio::post(ctx_, [this] {
    stopping_ = true;
    timer_.cancel();
    close_all();
    guard_.reset();
    // What was posted before gets its turn, then the thread ends.
    boost::asio::post(ctx_, [this] { ctx_.stop(); });
  });
}

void reactor::join() {
  if (thread_.joinable()) thread_.join();
}

void reactor::close_all() {
  auto connections = live_;
  for (auto* c : connections)
    if (live_.count(c)) c->cut();
  auto sockets = sockets_;
  for (auto* s : sockets)
    if (sockets_.count(s)) http::cut(*s);
}

void reactor::enter(connection* c) {
  if (live_.insert(c).second) ++setup_->stats.connections;
  arm_sweep();
}

void reactor::leave(connection* c) {
  if (live_.erase(c)) --setup_->stats.connections;
}

void reactor::arm_sweep() {
  if (sweeping_ || stopping_) return;
  sweeping_ = true;
  auto period = std::chrono::milliseconds(1000);
  const auto& o = setup_->options;
  for (auto t : {o.handshake_timeout, o.request_timeout, o.idle_timeout})
    if (t.count() > 0) period = std::min(period, std::max(t / 4, std::chrono::milliseconds(5)));
  timer_.expires_after(period);
  timer_.async_wait([this](boost::system::error_code ec) {
    sweeping_ = false;
    if (ec) return;
    const auto now = steady::now();
    auto connections = live_;
    for (auto* c : connections)
      if (live_.count(c)) c->sweep(now);
    if (!live_.empty()) arm_sweep();
  });
}

const std::string& reactor::date() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME_COARSE, &t);
  if (t.tv_sec != date_at_) {
    date_at_ = t.tv_sec;
    date_ = http_date(t.tv_sec);
  }
  return date_;
}

namespace {

class listener final : public server {
public:
  explicit listener(server_options options, handler on_request) : setup_(std::make_shared<shared_setup>()) {
    setup_->options = std::move(options);
    setup_->on_request = std::move(on_request);
  }
  ~listener() override { stop(); }

  result<void> open() {
    std::signal(SIGPIPE, SIG_IGN); // OpenSSL writes without MSG_NOSIGNAL
    const auto& o = setup_->options;
    for (unsigned i = 0; i < std::max(1u, o.threads); ++i)
      reactors_.push_back(std::make_unique<reactor>(setup_));
    boost::system::error_code ec;
    const auto address = boost::asio::ip::make_address(o.address, ec);
    if (ec) return errors::internal("cannot listen on \"" + o.address + "\": it is no IP address");
    const tcp::endpoint at{address, o.port};
    acceptor_ = std::make_unique<tcp::acceptor>(reactors_.front()->context());
    const auto failed = [&](const char* what) -> status {
      const auto where = o.address + ":" + std::to_string(o.port);
      if (ec == boost::asio::error::address_in_use)
        return errors::internal("cannot listen on " + where +
                                ": the port is in use; stop what uses it or choose another port");
      return errors::internal(std::string("cannot ") + what + " " + where + ": " + ec.message());
    };
    acceptor_->open(at.protocol(), ec);
    if (ec) return failed("open a socket for");
    acceptor_->set_option(tcp::acceptor::reuse_address(true), ec);
    acceptor_->bind(at, ec);
    if (ec) return failed("bind");
    acceptor_->listen(1024, ec);
    if (ec) return failed("listen on");
    port_ = acceptor_->local_endpoint(ec).port();
    accept_next();
    for (auto& r : reactors_)
      r->run();
    return {};
  }

  std::uint16_t port() const noexcept override { return port_; }

  void stop() override {
    if (stopped_.exchange(true)) return;
    if (reactors_.empty()) return;
    boost::asio::post(reactors_.front()->context(), [this] {
      boost::system::error_code ec;
      if (acceptor_) acceptor_->close(ec);
    });
    for (auto& r : reactors_)
      r->stop();
    for (auto& r : reactors_)
      r->join();
    acceptor_.reset();
    reactors_.clear();
  }

  server_stats stats() const override {
    const auto& s = setup_->stats;
    return {s.connections, s.accepted, s.requests, s.handshakes_failed};
  }

private:
  void accept_next() {
    auto& home = *reactors_[next_++ % reactors_.size()];
    acceptor_->async_accept(home.context(), [this, &home](boost::system::error_code ec, tcp::socket s) {
      if (ec == boost::asio::error::operation_aborted || !acceptor_ || !acceptor_->is_open()) return;
      if (ec) return retry_accept(); // out of descriptors: let some close first
      ++setup_->stats.accepted;
      adopt(home, std::move(s));
      accept_next();
    });
  }

  void retry_accept() {
    auto timer =
        std::make_shared<boost::asio::steady_timer>(reactors_.front()->context(), std::chrono::milliseconds(100));
    timer->async_wait([this, timer](boost::system::error_code ec) {
      if (!ec && acceptor_ && acceptor_->is_open()) accept_next();
    });
  }

  void adopt(reactor& home, tcp::socket s) {
    const auto& o = setup_->options;
    const auto bound = o.connections_max ? o.connections_max : limits::connections_max;
    const auto live = setup_->stats.connections.load();
    if (live >= bound + bound / 4 + 8) return; // too many even to say so: the socket closes here
    const bool refuse = live >= bound;
    auto ctx = o.tls ? o.tls->current() : nullptr;
    auto held = std::make_shared<tcp::socket>(std::move(s));
    boost::asio::post(home.context(), [&home, held, ctx, refuse] {
      std::make_shared<connection>(home, std::move(*held), ctx, refuse)->begin();
    });
  }

  std::shared_ptr<shared_setup> setup_;
  std::vector<std::unique_ptr<reactor>> reactors_;
  std::unique_ptr<tcp::acceptor> acceptor_;
  std::uint16_t port_ = 0;
  std::size_t next_ = 0;
  std::atomic<bool> stopped_{false};
};

} // namespace

result<std::shared_ptr<server>> server::start(server_options options, handler on_request) {
  auto s = std::make_shared<listener>(std::move(options), std::move(on_request));
  if (auto r = s->open(); !r) return r.error();
  return std::shared_ptr<server>{std::move(s)};
}

} // namespace troupe::http
