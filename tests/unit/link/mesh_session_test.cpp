#include "net/link/secure_listener.hpp"
#include "tests/unit/link/mesh_lab.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<const link::session_tls> tls_of(const tls::key_pair& own) {
  return link::make_session_tls(lab_pki().ca_pem, own).value();
}

link::deadline soon() { return std::chrono::steady_clock::now() + 10s; }

/// A listener that answers every hello with "ok HELLO", per protocol.
struct port_lab {
  std::unique_ptr<link::secure_listener> listener;
  std::mutex mutex;
  std::vector<std::string> heard;

  explicit port_lab(link::listener_options o = {}, bool workers = true) {
    o.address = "127.0.0.1";
    listener = link::secure_listener::make(std::move(o)).value();
    const auto answer = [this](link::session s, const std::string& hello) {
      std::lock_guard lock(mutex);
      heard.push_back(s.protocol() + " " + s.peer().user + " " + hello);
      CHECK(link::write_frame(s, "ok " + hello, soon()).has_value());
    };
    listener->serve(link::masters_protocol, answer);
    if (workers) listener->serve(link::workers_protocol, answer);
    REQUIRE(listener->start().has_value());
  }
  ~port_lab() { listener->stop(); }

  link::dial_options to(std::shared_ptr<const link::session_tls> tls, const char* protocol = link::workers_protocol) {
    return {
        .address = "127.0.0.1", .port = listener->port(), .tls = std::move(tls), .protocol = protocol, .by = soon()};
  }
  std::string talk(link::dial_options o, const std::string& hello) {
    auto s = link::dial(o);
    if (!s) return s.error().message;
    if (auto r = link::write_frame(*s, hello, soon()); !r) return r.error().message;
    auto r = link::read_frame(*s, 1000, soon());
    return r ? *r : r.error().message;
  }
};

/// A bare TCP connection.
struct raw_client {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  explicit raw_client(std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  }
  ~raw_client() { ::close(fd); }
  raw_client(const raw_client&) = delete;
  void say(const std::string& bytes) { CHECK(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0); }
  bool wait_closed() { // reads whatever alert comes, then the end
    char sink[512];
    while (::recv(fd, sink, sizeof sink, 0) > 0) {
    }
    return true;
  }
};

double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

const tls::key_pair& master() {
  static const auto pair = tls::issue_master(lab_pki(), "m1").value();
  return pair;
}
const tls::key_pair& worker() {
  static const auto pair = tls::issue_client(lab_pki(), "system:node:w1", {"system:nodes"}).value();
  return pair;
}

/// A port at which connection requests are lost: its queue is full, and nobody takes from it.
struct deaf_port {
  int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  std::vector<int> waiting;
  sockaddr_in at{};

  deaf_port() {
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::listen(listener, 0) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    for (int i = 0; i < 4; ++i) {
      waiting.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      (void)::connect(waiting.back(), reinterpret_cast<const sockaddr*>(&at), size);
    }
  }
  ~deaf_port() {
    for (const int fd : waiting)
      ::close(fd);
    ::close(listener);
  }
};

} // namespace

TEST_CASE("a connection request that was lost is given up before the kernel would repeat it") {
  const deaf_port nobody;
  const auto begun = std::chrono::steady_clock::now();
  const auto s = link::dial({.address = "127.0.0.1", .port = ntohs(nobody.at.sin_port), .by = soon()});
  const auto took = std::chrono::steady_clock::now() - begun;
  REQUIRE(!s.has_value());
  CHECK(s.error().message.find("no answer to the connection request") != std::string::npos);
  CHECK(took < 5s); // the deadline is at 10 s
}

TEST_CASE("one port serves masters and workers, and knows who they are") {
  port_lab lab({.tls = tls_of(master())});
  CHECK(lab.talk(lab.to(tls_of(worker())), "hello") == "ok hello");
  CHECK(lab.talk(lab.to(tls_of(master()), link::masters_protocol), "hi") == "ok hi");
  CHECK(lab.heard[0] == "troupe-link/1 system:node:w1 hello");
  CHECK(lab.heard[1] == "troupe-masters/1 system:troupe-master:m1 hi");
}

TEST_CASE("the dialer learns who the listener is") {
  port_lab lab({.tls = tls_of(master())});
  auto s = link::dial(lab.to(tls_of(worker())));
  REQUIRE(s.has_value());
  CHECK(is_master(s->peer(), "m1"));
  CHECK_FALSE(is_master(s->peer(), "m2"));
}

TEST_CASE("a protocol that nobody serves is refused in the handshake") {
  port_lab lab({.tls = tls_of(master())}, false);
  CHECK(lab.talk(lab.to(tls_of(worker())), "hello").find("no application protocol") != std::string::npos);
  REQUIRE(eventually([&] { return lab.listener->counts().failed == 1; }));
}

TEST_CASE("a certificate of another CA gets no session, in either direction") {
  const auto dir = "/tmp/troupe-mesh-other-" + std::to_string(::getpid());
  auto other = tls::open_pki({.dir = dir, .node_name = "m1"}).value();
  (void)!::system(("rm -rf " + dir).c_str());
  port_lab lab({.tls = tls_of(master())});
  // It trusts us, but its own certificate is not of our CA.
  auto liar = link::make_session_tls(lab_pki().ca_pem, other->master).value();
  const auto answer = lab.talk(lab.to(liar), "hello");
  CHECK_MESSAGE(answer.find("alert") != std::string::npos, answer);
  // It trusts its own CA only.
  auto stranger = link::make_session_tls(other->ca_pem, other->master).value();
  CHECK(lab.talk(lab.to(stranger), "hello").find("its certificate is refused") != std::string::npos);
  CHECK(lab.heard.empty());
  REQUIRE(eventually([&] { return lab.listener->counts().failed == 2; }));
}

TEST_CASE("a worker cannot pose as the listener: its certificate is for clients only") {
  port_lab lab({.tls = tls_of(worker())});
  CHECK(lab.talk(lab.to(tls_of(master())), "hello").find("its certificate is refused") != std::string::npos);
}

TEST_CASE("mute connections are closed in time, block nobody and cost no processor") {
  port_lab lab({.tls = tls_of(master()), .setup = 400ms});
  const auto before = cpu_seconds();
  {
    raw_client mute(lab.listener->port()), half(lab.listener->port());
    half.say("\x16\x03\x01\x02"); // the beginning of a ClientHello, then nothing
    CHECK(mute.wait_closed());
    CHECK(half.wait_closed());
  }
  CHECK(cpu_seconds() - before < 0.1);
  CHECK(lab.listener->counts().timed_out == 2);
  std::vector<std::unique_ptr<raw_client>> crowd;
  for (int i = 0; i < 20; ++i)
    crowd.push_back(std::make_unique<raw_client>(lab.listener->port()));
  CHECK(lab.talk(lab.to(tls_of(worker())), "still here") == "ok still here");
}

TEST_CASE("who has a session but says no hello is closed in time") {
  port_lab lab({.tls = tls_of(master()), .setup = 300ms});
  auto s = link::dial(lab.to(tls_of(worker())));
  REQUIRE(s.has_value());
  CHECK_FALSE(link::read_frame(*s, 100, soon()).has_value());
  CHECK(lab.listener->counts().timed_out == 1);
}

TEST_CASE("garbage is closed, counted and named") {
  port_lab lab({.tls = tls_of(master())});
  raw_client wild(lab.listener->port());
  wild.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(wild.wait_closed());
  raw_client noise(lab.listener->port());
  noise.say(std::string(4096, '\xff'));
  CHECK(noise.wait_closed());
  CHECK(lab.listener->counts().failed == 2);
  CHECK(lab.listener->counts().last_error.starts_with("127.0.0.1:"));
  CHECK(lab.talk(lab.to(tls_of(worker())), "fine") == "ok fine");
}

TEST_CASE("a hello above its bound, or of no bytes, ends the session before anything is read of it") {
  port_lab lab({.tls = tls_of(master())});
  CHECK(lab.talk(lab.to(tls_of(worker())), std::string(900, 'x')) == "ok " + std::string(900, 'x'));
  CHECK(lab.talk(lab.to(tls_of(worker())), std::string(limits::hello_bytes_max + 1, 'x')).find("ok") ==
        std::string::npos);
  CHECK(lab.talk(lab.to(tls_of(worker())), "").find("ok") == std::string::npos);
  REQUIRE(eventually([&] { return lab.listener->counts().failed == 2; }));
  CHECK(lab.listener->counts().last_error.find("where 1 to 4096 are allowed") != std::string::npos);
}

TEST_CASE("beyond the bound of half-open connections the oldest makes room") {
  port_lab lab({.tls = tls_of(master()), .half_open_max = 4});
  std::vector<std::unique_ptr<raw_client>> crowd;
  for (int i = 0; i < 6; ++i)
    crowd.push_back(std::make_unique<raw_client>(lab.listener->port()));
  REQUIRE(eventually([&] { return lab.listener->counts().accepted == 6; }));
  CHECK(lab.listener->counts().evicted == 2);
  CHECK(crowd[0]->wait_closed());
  CHECK(crowd[1]->wait_closed());
  CHECK(lab.talk(lab.to(tls_of(worker())), "me too") == "ok me too");
}

TEST_CASE("nobody there, a mute listener and a stop are told apart, and each ends in time") {
  auto tls = tls_of(worker());
  std::uint16_t free_port = 0;
  { free_port = link::secure_listener::make({.address = "127.0.0.1"}).value()->port(); }
  auto nobody = link::dial({.address = "127.0.0.1", .port = free_port, .tls = tls, .by = soon()});
  REQUIRE_FALSE(nobody.has_value());
  CHECK(nobody.error().message.find("Connection refused") != std::string::npos);
  // Bound and listening, never accepting: the kernel connects, nobody answers.
  auto mute = link::secure_listener::make({.address = "127.0.0.1"}).value();
  auto late = link::dial(
      {.address = "127.0.0.1", .port = mute->port(), .tls = tls, .by = std::chrono::steady_clock::now() + 100ms});
  REQUIRE_FALSE(late.has_value());
  CHECK(late.error().message.find("did not finish the handshake") != std::string::npos);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  CHECK(::write(ends[1], "x", 1) == 1);
  auto stopped =
      link::dial({.address = "127.0.0.1", .port = mute->port(), .tls = tls, .by = soon(), .stop_fd = ends[0]});
  REQUIRE_FALSE(stopped.has_value());
  CHECK(stopped.error().message.find("this side stops") != std::string::npos);
  ::close(ends[0]);
  ::close(ends[1]);
  CHECK_FALSE(link::dial({.address = "no such name.invalid", .port = 1, .tls = tls, .by = soon()}).has_value());
  CHECK_FALSE(link::secure_listener::make({.address = "not an address"}).has_value());
}

TEST_CASE("frames: large ones pass in both directions, and a bound holds without reading the body") {
  std::mutex mutex;
  link::session served;
  auto listener = link::secure_listener::make({.address = "127.0.0.1", .tls = tls_of(master())}).value();
  listener->serve(link::workers_protocol, [&](link::session s, const std::string&) {
    std::lock_guard lock(mutex);
    served = std::move(s);
  });
  REQUIRE(listener->start().has_value());
  auto client = link::dial({.address = "127.0.0.1", .port = listener->port(), .tls = tls_of(worker()), .by = soon()});
  REQUIRE(client.has_value());
  REQUIRE(link::write_frame(*client, "hello", soon()).has_value());
  REQUIRE(eventually([&] {
    std::lock_guard lock(mutex);
    return static_cast<bool>(served);
  }));
  const std::string body(100'000, 'z'); // more than one TLS record, less than the socket's buffer
  REQUIRE(link::write_frame(served, body, soon()).has_value());
  CHECK(link::read_frame(*client, 1 << 20, soon()).value() == body);
  REQUIRE(link::write_frame(served, body, soon()).has_value());
  auto r = link::read_frame(*client, 1000, soon());
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().message.find("100000 bytes where at most 1000") != std::string::npos);
  // Writing to one that is gone is an error, not a signal.
  client->close();
  result<void> w;
  for (int i = 0; i < 50 && w; ++i)
    w = link::write_frame(served, body, soon());
  CHECK_FALSE(w.has_value());
}

TEST_CASE("plain TCP, for benchmarks, chooses its protocol too") {
  port_lab lab{link::listener_options{}, true};
  CHECK(lab.talk(lab.to(nullptr), "bare") == "ok bare");
  CHECK(lab.heard[0] == "troupe-link/1  bare");
  CHECK(lab.talk(lab.to(nullptr, "something/9"), "bare").find("ok") == std::string::npos);
}
