#include "cli/client/https_client.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <poll.h>
#include <vector>

namespace troupe::cli {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tls_stream = beast::ssl_stream<beast::tcp_stream>;

namespace {
constexpr std::chrono::seconds connect_timeout{5};
constexpr std::chrono::seconds next_server_after{1}; // when there are others to try
constexpr std::chrono::seconds call_timeout{60};
constexpr std::uint64_t answer_bytes_max = 512ULL << 20;
constexpr std::size_t piece_bytes = 64 * 1024;
} // namespace

struct https_client::impl {
  explicit impl(kubeconfig c) : config(std::move(c)), servers{{config.host, config.port}} {
    servers.insert(servers.end(), config.others.begin(), config.others.end());
  }

  kubeconfig config;
  std::vector<endpoint> servers; // the first is the file's choice
  std::size_t at = 0;            // of the server in use
  asio::io_context ioc;
  asio::ssl::context tls{asio::ssl::context::tls_client};
  bool tls_ready = false;
  std::unique_ptr<tls_stream> stream;
  beast::flat_buffer buffer;

  const endpoint& server() const { return servers[at]; }
  void next_server() {
    stream.reset();
    at = (at + 1) % servers.size();
  }

  status unreachable(const std::string& why) const {
    std::string all;
    for (const auto& e : servers)
      all += (all.empty() ? "" : ", ") + e.host + ":" + e.port;
    return errors::unavailable("cannot reach the API at " + all + ": " + why + "; is the node running? (troupe up)");
  }
  status fate_unknown(const std::string& why) const {
    return errors::timeout("the connection to " + server().host + ":" + server().port + " broke before the answer (" +
                           why + "): whether the change took effect is not known; look before you try again");
  }

  result<void> prepare_tls() {
    if (tls_ready) return {};
    beast::error_code ec;
    if (config.skip_verify) {
      tls.set_verify_mode(asio::ssl::verify_none);
    } else {
      tls.set_verify_mode(asio::ssl::verify_peer);
      if (!config.ca_pem.empty()) tls.add_certificate_authority(asio::buffer(config.ca_pem), ec);
    }
    if (!ec && !config.cert_pem.empty()) tls.use_certificate_chain(asio::buffer(config.cert_pem), ec);
    if (!ec && !config.key_pem.empty()) tls.use_private_key(asio::buffer(config.key_pem), asio::ssl::context::pem, ec);
    if (ec) return errors::bad_request("the kubeconfig's certificates cannot be used: " + ec.message());
    tls_ready = true;
    return {};
  }

  /// Runs the handlers of one asynchronous step; beast's timer ends it when it takes too long.
  void run() {
    ioc.restart();
    ioc.run();
  }

  /// The server may have closed a kept connection: only a look tells, before anything is sent.
  bool kept_alive() {
    if (!stream) return false;
    pollfd p{beast::get_lowest_layer(*stream).socket().native_handle(), POLLIN, 0};
    return ::poll(&p, 1, 0) == 0;
  }

  /// To the server in use, or to the first that answers.
  result<void> connect() {
    if (kept_alive()) return {};
    stream.reset();
    if (auto r = prepare_tls(); !r) return r;
    result<void> last;
    for (std::size_t tried = 0; tried < servers.size(); ++tried) {
      last = connect_here();
      if (last) return last;
      next_server();
    }
    return last;
  }

  result<void> connect_here() {
    beast::error_code ec;
    asio::ip::tcp::resolver resolver{ioc};
    const auto found = resolver.resolve(server().host, server().port, ec);
    if (ec) return unreachable(ec.message());
    auto made = std::make_unique<tls_stream>(ioc, tls);
    if (!config.skip_verify) made->set_verify_callback(asio::ssl::host_name_verification(server().host));
    beast::get_lowest_layer(*made).expires_after(servers.size() > 1 ? next_server_after : connect_timeout);
    beast::get_lowest_layer(*made).async_connect(found, [&](beast::error_code e, const auto&) { ec = e; });
    run();
    if (ec) return unreachable(ec.message());
    beast::get_lowest_layer(*made).socket().set_option(asio::ip::tcp::no_delay(true), ec);
    made->async_handshake(asio::ssl::stream_base::client, [&](beast::error_code e) { ec = e; });
    run();
    if (ec) return unreachable("TLS: " + ec.message());
    stream = std::move(made);
    buffer.clear();
    return {};
  }

  http::request<http::string_body> make(const http_call& c) const {
    http::request<http::string_body> req{http::string_to_verb(c.method), c.target, 11};
    req.set(http::field::host, server().host + ":" + server().port);
    req.set(http::field::user_agent, "actor-shell");
    req.set(http::field::accept, c.accept);
    if (!config.token.empty()) req.set(http::field::authorization, "Bearer " + config.token);
    if (!c.content_type.empty()) req.set(http::field::content_type, c.content_type);
    req.body() = c.body;
    req.prepare_payload();
    return req;
  }

  beast::error_code send(const http::request<http::string_body>& req) {
    beast::error_code ec;
    beast::get_lowest_layer(*stream).expires_after(call_timeout);
    http::async_write(*stream, req, [&](beast::error_code e, std::size_t) { ec = e; });
    run();
    return ec;
  }
};

https_client::https_client(kubeconfig config) : impl_(std::make_unique<impl>(std::move(config))) {}
https_client::~https_client() = default;
const kubeconfig& https_client::config() const noexcept { return impl_->config; }

/// A read is asked of each server in turn; a change only where it certainly was not taken: never sent, or refused.
result<http_answer> https_client::call(const http_call& c) {
  const auto servers = impl_->servers.size();
  for (std::size_t attempt = 1;; ++attempt) {
    if (auto r = impl_->connect(); !r) return r.error();
    auto ec = impl_->send(impl_->make(c));
    http::response_parser<http::string_body> parser;
    parser.body_limit(answer_bytes_max);
    if (!ec) {
      beast::get_lowest_layer(*impl_->stream).expires_after(call_timeout);
      http::async_read(*impl_->stream, impl_->buffer, parser, [&](beast::error_code e, std::size_t) { ec = e; });
      impl_->run();
    }
    if (ec) {
      auto lost = c.method == "GET" ? impl_->unreachable(ec.message()) : impl_->fate_unknown(ec.message());
      impl_->next_server();
      if (c.method == "GET" && attempt <= servers) continue;
      return lost;
    }
    const auto& m = parser.get();
    http_answer out{static_cast<int>(m.result_int()), std::string{m[http::field::content_type]}, m.body()};
    if (!m.keep_alive()) impl_->stream.reset();
    if (out.code != 503 || attempt >= servers) return out;
    impl_->next_server();
  }
}

namespace {

/// Ends what the connection waits for as soon as `fd` can be read. A look before each read would not do: bytes of the
/// next chunk's frame may be buffered while nothing more comes, and a signal may fall between the look and the read.
class stop_watch {
public:
  stop_watch(asio::io_context& ioc, int fd, beast::tcp_stream& waiting) : fd_(ioc) {
    if (fd < 0) return;
    fd_.assign(::dup(fd));
    fd_.async_wait(asio::posix::stream_descriptor::wait_read, [this, &waiting](beast::error_code ec) {
      if (ec) return;
      pressed_ = true;
      waiting.cancel();
    });
  }
  bool pressed() const noexcept { return pressed_; }

private:
  asio::posix::stream_descriptor fd_; // a duplicate: closing it leaves the caller's open
  bool pressed_ = false;
};

} // namespace

result<int> https_client::stream(const http_call& c, const std::function<bool(std::string_view)>& piece, int stop_fd) {
  auto& my = *impl_;
  my.stream.reset();
  if (auto r = my.connect(); !r) return r.error();
  auto ec = my.send(my.make(c));
  beast::get_lowest_layer(*my.stream).expires_never();
  stop_watch stop{my.ioc, stop_fd, beast::get_lowest_layer(*my.stream)};
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  // One step at a time: the watch on stop_fd stays pending in the same loop from step to step.
  auto wait_for = [&](auto start) {
    bool done = false;
    start([&](beast::error_code e, std::size_t) {
      ec = e;
      done = true;
    });
    my.ioc.restart();
    while (!done)
      my.ioc.run_one();
  };
  if (!ec) wait_for([&](auto then) { http::async_read_header(*my.stream, my.buffer, parser, then); });
  std::string chunk(piece_bytes, '\0');
  bool wanted = !stop.pressed();
  while (!ec && wanted && !parser.is_done()) {
    auto& body = parser.get().body();
    body.data = chunk.data();
    body.size = chunk.size();
    body.more = true;
    wait_for([&](auto then) { http::async_read_some(*my.stream, my.buffer, parser, then); });
    if (ec == http::error::need_buffer) ec = {};
    const auto got = chunk.size() - body.size;
    wanted = (got == 0 || piece({chunk.data(), got})) && !stop.pressed();
  }
  my.stream.reset();
  const int code = parser.is_header_done() ? static_cast<int>(parser.get().result_int()) : 0;
  if (!ec || !wanted) return code;
  auto lost = my.unreachable(ec.message());
  my.next_server();
  return lost;
}

std::string explain(const http_answer& a) {
  boost::system::error_code ec;
  const auto doc = json::parse(a.body, ec);
  if (!ec)
    if (auto m = jq::str(doc, {"message"}); !m.empty()) return std::string{m};
  if (!a.body.empty() && a.body.size() < 400) return a.body;
  return "HTTP " + std::to_string(a.code);
}

} // namespace troupe::cli
