#include "net/service/health_server.hpp"

#include "net/service/limits.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>

#include <thread>

namespace troupe::net {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;
using answer_fn = std::function<health_answer(const std::string&)>;

const char* reason_of(int code) {
  switch (code) {
  case 200: return "OK";
  case 400: return "Bad Request";
  case 404: return "Not Found";
  case 405: return "Method Not Allowed";
  default: return "Service Unavailable";
  }
}

health_answer answer_line(const std::string& line, const answer_fn& answer) {
  auto first = line.find(' '), second = line.find(' ', first + 1);
  if (first == line.npos || second == line.npos || line.compare(second + 1, 5, "HTTP/") != 0)
    return {400, "text/plain; charset=utf-8", "bad request\n"};
  auto method = line.substr(0, first);
  if (method != "GET" && method != "HEAD") return {405, "text/plain; charset=utf-8", "only GET is served here\n"};
  auto path = line.substr(first + 1, second - first - 1);
  auto out = answer(path.substr(0, path.find('?')));
  return out;
}

class session : public std::enable_shared_from_this<session> {
public:
  session(tcp::socket s, const answer_fn& answer)
      : socket_(std::move(s)), deadline_(socket_.get_executor()), answer_(answer) {}

  void run() {
    deadline_.expires_after(limits::health_time_max);
    deadline_.async_wait([weak = weak_from_this()](error_code e) {
      auto self = weak.lock();
      if (e || !self) return;
      error_code ignored;
      self->socket_.close(ignored);
    });
    asio::async_read_until(socket_, in_, "\r\n\r\n", [self = shared_from_this()](error_code e, std::size_t) {
      if (e && e != asio::error::not_found) return self->deadline_.cancel(), void();
      self->reply(e ? std::string{} : self->first_line());
    });
  }

private:
  std::string first_line() {
    std::string text{asio::buffers_begin(in_.data()), asio::buffers_end(in_.data())};
    return text.substr(0, text.find('\r'));
  }

  void reply(const std::string& line) {
    auto a = answer_line(line, answer_);
    out_ = "HTTP/1.1 " + std::to_string(a.code) + ' ' + reason_of(a.code) + "\r\nContent-Type: " + a.content_type +
           "\r\nContent-Length: " + std::to_string(a.body.size()) + "\r\nConnection: close\r\n\r\n";
    if (!line.starts_with("HEAD ")) out_ += a.body;
    asio::async_write(socket_, asio::buffer(out_), [self = shared_from_this()](error_code, std::size_t) {
      error_code ignored;
      self->socket_.shutdown(tcp::socket::shutdown_both, ignored);
      self->deadline_.cancel();
    });
  }

  tcp::socket socket_;
  asio::steady_timer deadline_;
  const answer_fn& answer_;
  asio::streambuf in_{limits::health_request_bytes_max};
  std::string out_;
};

class server final : public health_server {
public:
  explicit server(answer_fn answer) : answer_(std::move(answer)), acceptor_(ioc_) {}
  ~server() override {
    ioc_.stop();
    if (thread_.joinable()) thread_.join();
  }

  result<void> listen(const std::string& address, std::uint16_t port) {
    error_code e;
    auto at = asio::ip::make_address(address, e);
    tcp::endpoint here{at, port};
    if (!e) acceptor_.open(here.protocol(), e);
    if (!e) acceptor_.set_option(tcp::acceptor::reuse_address(true), e);
    if (!e) acceptor_.bind(here, e);
    if (!e) acceptor_.listen(asio::socket_base::max_listen_connections, e);
    if (e)
      return errors::unavailable("cannot listen for health checks on " + address + ":" + std::to_string(port) + ": " +
                                 e.message());
    port_ = acceptor_.local_endpoint(e).port();
    accept();
    thread_ = std::thread{[this] { ioc_.run(); }};
    return {};
  }
  std::uint16_t port() const override { return port_; }

private:
  void accept() {
    acceptor_.async_accept([this](error_code e, tcp::socket s) {
      if (e == asio::error::operation_aborted) return;
      if (!e) {
        std::make_shared<session>(std::move(s), answer_)->run();
        return accept();
      }
      pause_.expires_after(std::chrono::milliseconds{100}); // out of descriptors: breathe
      pause_.async_wait([this](error_code stopped) {
        if (!stopped) accept();
      });
    });
  }

  answer_fn answer_;
  asio::io_context ioc_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer pause_{ioc_};
  std::uint16_t port_ = 0;
  std::thread thread_;
};

} // namespace

result<std::unique_ptr<health_server>> start_health_server(const std::string& address, std::uint16_t port,
                                                           answer_fn answer) {
  auto out = std::make_unique<server>(std::move(answer));
  if (auto done = out->listen(address, port); !done) return done.error();
  return std::unique_ptr<health_server>{std::move(out)};
}

} // namespace troupe::net
