// Streams of the console's client: they end as soon as somebody asks, whatever bytes have come by then.
#include "cli/client/https_client.hpp"
#include "net/tls/issue.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <doctest/doctest.h>

#include <thread>
#include <unistd.h>

using namespace troupe;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// Answers one request with `text`, then keeps the connection open and says nothing until the client leaves.
class silent_server {
public:
  explicit silent_server(std::string text) : text_(std::move(text)) {
    const auto own = tls::detail::self_signed_ca("silent", std::chrono::system_clock::now());
    REQUIRE(own.has_value());
    tls_.use_certificate_chain(asio::buffer(own->cert_pem));
    tls_.use_private_key(asio::buffer(own->key_pem), asio::ssl::context::pem);
    thread_ = std::thread([this] { serve(); });
  }
  ~silent_server() { thread_.join(); }

  cli::kubeconfig config() const {
    cli::kubeconfig c;
    c.host = "127.0.0.1";
    c.port = std::to_string(door_.local_endpoint().port());
    c.skip_verify = true;
    return c;
  }

private:
  void serve() {
    asio::ssl::stream<tcp::socket> s{ioc_, tls_};
    boost::system::error_code ec;
    door_.accept(s.lowest_layer(), ec);
    if (!ec) s.handshake(asio::ssl::stream_base::server, ec);
    asio::streambuf in;
    if (!ec) asio::read_until(s, in, "\r\n\r\n", ec);
    if (!ec) asio::write(s, asio::buffer(text_), ec);
    char byte;
    if (!ec) s.read_some(asio::buffer(&byte, 1), ec); // returns when the client is gone
  }

  std::string text_;
  asio::io_context ioc_;
  asio::ssl::context tls_{asio::ssl::context::tls_server};
  tcp::acceptor door_{ioc_, {asio::ip::address_v4::loopback(), 0}};
  std::thread thread_;
};

struct stop_pipe {
  int fd[2] = {-1, -1};
  stop_pipe() { REQUIRE(::pipe(fd) == 0); }
  ~stop_pipe() {
    ::close(fd[0]);
    ::close(fd[1]);
  }
  void press() const { REQUIRE(::write(fd[1], "", 1) == 1); }
};

const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";

} // namespace

TEST_CASE("Ctrl-C ends a stream that has fallen silent") {
  // The end of the chunk's frame stays in the client's buffer: it must not be taken for something to read.
  silent_server server{head + "5\r\ntick\n\r\n"};
  cli::https_client client{server.config()};
  stop_pipe stop;
  std::string seen;
  const auto code = client.stream(
      {},
      [&](std::string_view piece) {
        seen += piece;
        stop.press();
        return true;
      },
      stop.fd[0]);
  REQUIRE(code.has_value());
  CHECK(*code == 200);
  CHECK(seen == "tick\n");
}

TEST_CASE("Ctrl-C ends a stream whose answer does not come") {
  silent_server server{"HTTP/1.1 2"};
  cli::https_client client{server.config()};
  stop_pipe stop;
  stop.press();
  const auto code = client.stream(
      {}, [](std::string_view) { return true; }, stop.fd[0]);
  CHECK(code.has_value());
}
