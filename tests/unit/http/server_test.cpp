#include "net/http/server.hpp"

#include "net/http/limits.hpp"
#include "tests/support/https_client.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <future>
#include <thread>
#include <unistd.h>

using namespace troupe;
using test::https_client;

namespace {

std::shared_ptr<const tls::pki> shared_pki() {
  static const auto made = [] {
    const auto dir = std::filesystem::temp_directory_path() / ("troupe-http-" + std::to_string(::getpid()));
    tls::pki_options o;
    o.dir = dir;
    o.node_name = "n1";
    auto p = tls::open_pki(o);
    REQUIRE(p.has_value());
    std::filesystem::remove_all(dir);
    return *p;
  }();
  return made;
}

/// Answers by path; what each does stands beside its test.
void answer(const http::request_view& v, http::exchange& x) {
  http::reply r;
  if (v.path == "/echo") {
    r.body = std::string(v.method) + " " + std::string(v.query) + " " + std::string(v.body);
  } else if (v.path == "/who") {
    r.body = v.peer->certificate ? v.peer->certificate->user : "nobody";
  } else if (v.path == "/shared") {
    auto kept = std::make_shared<const std::string>(std::string(200000, 'x'));
    r.shared = *kept;
    r.keep = kept;
    r.tail = "\n";
  } else if (v.path == "/later") {
    auto done = x.defer();
    std::thread([done] {
      http::reply late;
      late.body = "late";
      done(std::move(late));
    }).detach();
    return;
  } else if (v.path == "/dropped") {
    (void)x.defer();
    return;
  } else if (v.path == "/throws") {
    throw std::runtime_error("broken");
  } else if (v.path == "/stream") {
    auto s = x.stream(200, "text/plain", {});
    s->write("one\n");
    s->post([s] {
      s->write("two\n");
      s->end();
    });
    return;
  } else if (v.path == "/socket") {
    return x.upgrade("v5.channel.k8s.io", [](http::web_socket_ptr ws) {
      std::weak_ptr<http::web_socket> weak = ws;
      ws->on_message([weak](std::string_view m, bool binary) {
        if (auto s = weak.lock()) {
          if (m == "bye")
            s->close();
          else
            s->write("<" + std::string(m) + ">", binary);
        }
      });
    });
  } else {
    r.code = 404;
    r.body = "no";
  }
  x.send(std::move(r));
}

struct lab {
  std::shared_ptr<http::server> server;
  std::shared_ptr<ssl_ctx_st> anonymous, admin;
  explicit lab(http::server_options o = {}) {
    const auto pki = shared_pki();
    if (!o.tls) o.tls = *tls::server_context::make(pki->ca_pem, pki->serving);
    o.address = "127.0.0.1";
    auto s = http::server::start(o, answer);
    REQUIRE(s.has_value());
    server = *s;
    anonymous = *tls::make_client_context(pki->ca_pem, {});
    admin = *tls::make_client_context(pki->ca_pem, pki->admin);
  }
  std::uint16_t port() const { return server->port(); }
};

} // namespace

TEST_CASE("a request is answered over TLS and the connection is kept for the next") {
  lab l;
  https_client c(l.port(), l.anonymous);
  REQUIRE(c.connected());
  auto a = c.call("GET", "/echo?a=b");
  CHECK(a.code == 200);
  CHECK(a.body == "GET a=b ");
  CHECK(a.headers["cache-control"] == "no-cache, private");
  CHECK(c.call("POST", "/echo", "hello").body == "POST  hello");
  CHECK(c.call("GET", "/none").code == 404);
  CHECK(l.server->stats().accepted == 1);
}

TEST_CASE("the client certificate's name reaches the handler, once per connection") {
  lab l;
  CHECK(https_client(l.port(), l.admin).call("GET", "/who").body == "kubernetes-admin");
  CHECK(https_client(l.port(), l.anonymous).call("GET", "/who").body == "nobody");
}

TEST_CASE("a client certificate of another authority fails the handshake") {
  lab l;
  const auto dir = std::filesystem::temp_directory_path() / ("troupe-http-other-" + std::to_string(::getpid()));
  tls::pki_options o;
  o.dir = dir;
  auto other = tls::open_pki(o);
  REQUIRE(other.has_value());
  auto ctx = tls::make_client_context(shared_pki()->ca_pem, (*other)->admin);
  https_client c(l.port(), *ctx);
  CHECK(c.call("GET", "/who").code == 0);
  CHECK(https_client(l.port(), l.admin).call("GET", "/who").code == 200);
  std::filesystem::remove_all(dir);
}

TEST_CASE("pipelined requests are answered in order, also when one is answered later") {
  lab l;
  https_client c(l.port(), l.anonymous);
  const std::string host = " HTTP/1.1\r\nHost: x\r\n\r\n";
  REQUIRE(c.send("GET /later" + host + "GET /echo?2" + host + "GET /later" + host + "GET /echo?4" + host));
  CHECK(c.receive().body == "late");
  CHECK(c.receive().body == "GET 2 ");
  CHECK(c.receive().body == "late");
  CHECK(c.receive().body == "GET 4 ");
}

TEST_CASE("a request that arrives byte by byte is put together") {
  lab l;
  https_client c(l.port(), l.anonymous);
  const std::string text = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
  for (char b : text)
    REQUIRE(c.send(std::string(1, b)));
  CHECK(c.receive().body == "POST  abc");
}

TEST_CASE("a chunked request body is put together") {
  lab l;
  https_client c(l.port(), l.anonymous);
  c.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n");
  CHECK(c.receive().body == "POST  abcde");
}

TEST_CASE("a client that waits for 100 Continue gets it") {
  lab l;
  https_client c(l.port(), l.anonymous);
  c.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  CHECK(c.receive_head().code == 100);
  c.send("abc");
  CHECK(c.receive().body == "POST  abc");
}

TEST_CASE("shared bytes larger than one record arrive whole, with their tail") {
  lab l;
  auto a = https_client(l.port(), l.anonymous).call("GET", "/shared");
  CHECK(a.body.size() == 200001);
  CHECK(a.body.back() == '\n');
}

TEST_CASE("large answers are compressed when the client asks") {
  lab l;
  auto a = https_client(l.port(), l.anonymous).call("GET", "/shared", {}, {{"Accept-Encoding", "gzip"}});
  CHECK(a.headers["content-encoding"] == "gzip");
  CHECK(a.body.size() < 5000);
}

TEST_CASE("HEAD gets the headers without the body") {
  lab l;
  https_client c(l.port(), l.anonymous);
  auto a = c.call("HEAD", "/echo");
  CHECK(a.headers["content-length"] == "6");
  CHECK(c.call("GET", "/echo").code == 200);
}

TEST_CASE("a body over 3 MiB is refused with a Status and the connection ends") {
  lab l;
  https_client c(l.port(), l.anonymous);
  c.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3145729\r\n\r\n");
  auto a = c.receive();
  CHECK(a.code == 413);
  CHECK(a.body.find("RequestEntityTooLarge") != std::string::npos);
  CHECK(c.at_end());
}

TEST_CASE("a client that sends all of a body that is too large still reads the refusal") {
  lab l;
  https_client c(l.port(), l.anonymous);
  const std::string body(8 * 1024 * 1024, 'x');
  CHECK(c.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n"));
  CHECK(c.send(body));
  const auto a = c.receive();
  CHECK(a.code == 413);
  CHECK(a.body.find("Request entity too large: limit is 3145728") != std::string::npos);
  CHECK(c.at_end());
}

TEST_CASE("a refused client that never stops sending is cut after a bounded amount") {
  lab l;
  https_client c(l.port(), l.anonymous);
  c.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
  const std::string part(1024 * 1024, 'x');
  std::size_t sent = 0;
  while (sent < 16 * limits::linger_bytes_max && c.send(part))
    sent += part.size();
  CHECK(sent >= limits::linger_bytes_max);
  CHECK(sent < 16 * limits::linger_bytes_max);
}

TEST_CASE("headers over the limit are refused") {
  lab l;
  https_client c(l.port(), l.anonymous);
  c.send("GET /echo HTTP/1.1\r\nHost: x\r\nX-Long: " + std::string(limits::header_bytes_max + 10, 'a') + "\r\n\r\n");
  CHECK(c.receive().code == 431);
}

TEST_CASE("garbage is answered with 400 and hurts nobody else") {
  lab l;
  https_client c(l.port(), l.anonymous);
  c.send("\x01\x02\x03 nonsense\r\n\r\n");
  CHECK(c.receive().code == 400);
  CHECK(https_client(l.port(), l.anonymous).call("GET", "/echo").code == 200);
}

TEST_CASE("plain text on the TLS port ends that connection only") {
  lab l;
  https_client other(l.port(), l.anonymous);
  https_client c(l.port(), nullptr);
  c.send("GET / HTTP/1.1\r\n\r\n");
  while (!c.at_end())
    c.receive_bytes(1);
  CHECK(other.call("GET", "/echo").code == 200);
}

TEST_CASE("a handler that throws or never answers gives 500") {
  lab l;
  https_client c(l.port(), l.anonymous);
  CHECK(c.call("GET", "/throws").code == 500);
  CHECK(https_client(l.port(), l.anonymous).call("GET", "/dropped").code == 500);
}

TEST_CASE("a silent client is cut by the handshake deadline") {
  http::server_options o;
  o.handshake_timeout = std::chrono::milliseconds(40);
  lab l(o);
  https_client c(l.port(), nullptr);
  CHECK(c.at_end());
  CHECK(l.server->stats().handshakes_failed == 1);
}

TEST_CASE("a request that never ends is answered 408") {
  http::server_options o;
  o.request_timeout = std::chrono::milliseconds(40);
  lab l(o);
  https_client c(l.port(), l.anonymous);
  c.send("GET /echo HTTP/1.1\r\nHost:");
  CHECK(c.receive().code == 408);
}

TEST_CASE("an idle connection is closed") {
  http::server_options o;
  o.idle_timeout = std::chrono::milliseconds(40);
  lab l(o);
  https_client c(l.port(), l.anonymous);
  CHECK(c.call("GET", "/echo").code == 200);
  CHECK(c.at_end());
}

TEST_CASE("more connections than allowed are told so") {
  http::server_options o;
  o.connections_max = 1;
  lab l(o);
  https_client first(l.port(), l.anonymous);
  CHECK(first.call("GET", "/echo").code == 200);
  https_client second(l.port(), l.anonymous);
  auto a = second.call("GET", "/echo");
  CHECK(a.code == 503);
  CHECK(a.headers["retry-after"] == "1");
  CHECK(first.call("GET", "/echo").code == 200);
}

TEST_CASE("a stream arrives in chunks and the connection lives on") {
  lab l;
  https_client c(l.port(), l.anonymous);
  c.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(c.receive_head().headers["transfer-encoding"] == "chunked");
  CHECK(c.receive_chunk() == "one\n");
  CHECK(c.receive_chunk() == "two\n");
  CHECK(c.receive_chunk().empty());
  CHECK(c.call("GET", "/echo").code == 200);
}

TEST_CASE("a WebSocket is opened with its subprotocol and carries messages both ways") {
  lab l;
  https_client c(l.port(), l.anonymous);
  c.send("GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n");
  auto head = c.receive_head();
  CHECK(head.code == 101);
  CHECK(head.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK(head.headers["sec-websocket-protocol"] == "v5.channel.k8s.io");
  c.send(std::string("\x81\x82\0\0\0\0hi", 8));
  CHECK(c.receive_bytes(6) == std::string("\x81\x04<hi>"));
  c.send(std::string("\x89\x80\0\0\0\0", 6)); // ping
  CHECK(c.receive_bytes(2) == std::string("\x8a\x00", 2));
  c.send(std::string("\x81\x83\0\0\0\0bye", 9));
  CHECK(c.receive_bytes(4) == std::string("\x88\x02\x03\xe8"));
}

TEST_CASE("a WebSocket request that lacks its key is refused") {
  lab l;
  https_client c(l.port(), l.anonymous);
  c.send("GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "
         "13\r\n\r\n");
  CHECK(c.receive_head().code == 400);
}

TEST_CASE("a port in use is named in the error") {
  lab l;
  http::server_options o;
  o.address = "127.0.0.1";
  o.port = l.port();
  auto second = http::server::start(o, answer);
  REQUIRE(!second);
  CHECK(second.error().message.find("in use") != std::string::npos);
}

TEST_CASE("stopping cuts open connections and may be asked twice") {
  lab l;
  https_client c(l.port(), l.anonymous);
  CHECK(c.call("GET", "/echo").code == 200);
  l.server->stop();
  l.server->stop();
  CHECK(c.at_end());
}
