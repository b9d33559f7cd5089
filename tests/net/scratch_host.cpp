#include "tests/net/scratch_host.hpp"

#include "net/packet/address.hpp"
#include "net/packet/namespace.hpp"
#include "net/packet/netlink.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe::testing {

namespace {

sockaddr_in address_of(const std::string& text, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  inet_pton(AF_INET, text.c_str(), &out.sin_addr);
  return out;
}

/// A child in a fresh namespace that reports ready and then obeys `body(command pipe)`.
struct child {
  pid_t pid = -1;
  int command = -1, ready = -1;

  template <class Body>
  explicit child(Body body) {
    int to[2], from[2];
    REQUIRE(::pipe2(to, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(from, O_CLOEXEC) == 0);
    auto parent = ::getpid();
    pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent || ::unshare(CLONE_NEWNET) != 0) ::_exit(1);
      if (::write(from[1], "r", 1) != 1) ::_exit(1);
      body(to[0], from[1]);
      ::_exit(0);
    }
    ::close(to[0]);
    ::close(from[1]);
    command = to[1];
    ready = from[0];
    wait_ready();
  }
  void wait_ready() {
    char c = 0;
    REQUIRE(::read(ready, &c, 1) == 1);
  }
  ~child() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ::close(command);
    ::close(ready);
  }
  std::string netns() const { return "/proc/" + std::to_string(pid) + "/ns/net"; }
};

void answer_tcp(int listener, const std::string& name) {
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  int c = ::accept(listener, reinterpret_cast<sockaddr*>(&peer), &size);
  if (c < 0) return;
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
  auto line = name + ' ' + text + '\n';
  if (::write(c, line.data(), line.size()) < 0) ::perror("write");
  ::close(c);
}

void answer_udp(int socket, const std::string& name) {
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  char in[512];
  if (::recvfrom(socket, in, sizeof in, 0, reinterpret_cast<sockaddr*>(&peer), &size) < 0) return;
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
  auto line = name + ' ' + text + '\n';
  ::sendto(socket, line.data(), line.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
}

int bound(int type, std::uint16_t port) {
  int s = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  int one = 1;
  ::setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  auto here = address_of("0.0.0.0", port);
  if (::bind(s, reinterpret_cast<sockaddr*>(&here), sizeof here) != 0) ::_exit(2);
  if (type == SOCK_STREAM && ::listen(s, 64) != 0) ::_exit(2);
  return s;
}

/// Ports arrive on the pipe, two bytes each; each is answered for on TCP and UDP.
void serve_for_ever(int command, int ready, const std::string& name) {
  std::vector<pollfd> fds{{command, POLLIN, 0}};
  for (;;) {
    ::poll(fds.data(), fds.size(), -1);
    for (std::size_t i = 1; i < fds.size(); ++i) {
      if (!(fds[i].revents & POLLIN)) continue;
      if (i % 2)
        answer_tcp(fds[i].fd, name);
      else
        answer_udp(fds[i].fd, name);
    }
    if (fds[0].revents == 0) continue;
    std::uint16_t port = 0;
    if (::read(command, &port, sizeof port) != sizeof port) return;
    fds.push_back({bound(SOCK_STREAM, port), POLLIN, 0});
    fds.push_back({bound(SOCK_DGRAM, port), POLLIN, 0});
    if (::write(ready, "r", 1) != 1) return;
  }
}

reply read_reply(int s) {
  reply out;
  char line[256];
  auto n = ::recv(s, line, sizeof line - 1, 0);
  if (n <= 0) {
    out.error = n < 0 ? errno : ECONNRESET;
    return out;
  }
  line[n] = 0;
  char who[128] = {}, peer[64] = {};
  std::sscanf(line, "%127s %63s", who, peer);
  out.text = who;
  out.peer = peer;
  return out;
}

/// A socket with two seconds of patience, bound as asked.
int client(int type, const std::string& from, std::uint16_t from_port) {
  int s = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  timeval wait{2, 0};
  ::setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  ::setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  int one = 1;
  ::setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (!from.empty() || from_port != 0) {
    auto own = address_of(from.empty() ? "0.0.0.0" : from, from_port);
    if (::bind(s, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0) ::perror("bind");
  }
  return s;
}

void run_in(const std::string& netns, const std::function<void()>& what) {
  if (netns.empty()) return what();
  auto entered = net::in_namespace(netns, what);
  if (!entered) FAIL(entered.error().message);
}

} // namespace

bool can_make_namespaces() {
  if (::geteuid() == 0 && ::access("/proc/self/ns/net", R_OK) == 0) return true;
  std::puts("skipped: network namespaces need root");
  return false;
}

struct scratch_host::impl {
  std::unique_ptr<child> outside;
};

scratch_host::scratch_host(bool with_outside) : impl_(std::make_unique<impl>()) {
  REQUIRE(::unshare(CLONE_NEWNET) == 0);
  auto here = net::route_link::open();
  REQUIRE(here.has_value());
  REQUIRE(here->set_up(1).has_value());
  if (!with_outside) return;
  impl_->outside = std::make_unique<child>([](int command, int ready) { serve_for_ever(command, ready, "outside"); });
  int ns = ::open(impl_->outside->netns().c_str(), O_RDONLY | O_CLOEXEC);
  auto there = net::route_link::open(impl_->outside->netns());
  REQUIRE(there.has_value());
  net::veth_spec wire{"uplink", "uplink", {}, {2, 0, 0, 0, 0, 9}, 1500, 0, ns};
  REQUIRE(here->make_veth(wire).has_value());
  ::close(ns);
  int mine = here->index_of("uplink"), theirs = there->index_of("uplink");
  REQUIRE(here->add_address(mine, *net::parse_ipv4("192.0.2.1"), 24).has_value());
  REQUIRE(there->set_up(1).has_value());
  REQUIRE(there->set_up(theirs).has_value());
  REQUIRE(there->add_address(theirs, *net::parse_ipv4("192.0.2.2"), 24).has_value());
  REQUIRE(here->add_route(0, 0, *net::parse_ipv4("192.0.2.2"), mine).has_value());
  std::uint16_t port = 8080;
  REQUIRE(::write(impl_->outside->command, &port, sizeof port) == sizeof port);
  impl_->outside->wait_ready();
}

scratch_host::~scratch_host() = default;

std::string scratch_host::outside_path() const { return impl_->outside ? impl_->outside->netns() : std::string{}; }

struct scratch_pod::impl {
  child process;
  explicit impl(const std::string& name)
      : process([&name](int command, int ready) { serve_for_ever(command, ready, name); }) {}
};

scratch_pod::scratch_pod(std::string name) : impl_(std::make_unique<impl>(name)) {}
scratch_pod::~scratch_pod() = default;
scratch_pod::scratch_pod(scratch_pod&&) noexcept = default;
std::string scratch_pod::netns() const { return impl_->process.netns(); }

void scratch_pod::serve(const std::vector<std::uint16_t>& ports) {
  for (auto port : ports) {
    REQUIRE(::write(impl_->process.command, &port, sizeof port) == sizeof port);
    impl_->process.wait_ready();
  }
}

reply ask_tcp(const std::string& netns, const std::string& address, std::uint16_t port, const std::string& from) {
  reply out;
  run_in(netns, [&] {
    int s = client(SOCK_STREAM, from, 0);
    auto to = address_of(address, port);
    if (::connect(s, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
      out.error = errno;
    else
      out = read_reply(s);
    ::close(s);
  });
  return out;
}

reply ask_udp(const std::string& netns, const std::string& address, std::uint16_t port, std::uint16_t from_port) {
  reply out;
  run_in(netns, [&] {
    int s = client(SOCK_DGRAM, {}, from_port);
    auto to = address_of(address, port);
    if (::connect(s, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 || ::send(s, "?", 1, 0) != 1)
      out.error = errno;
    else
      out = read_reply(s);
    ::close(s);
  });
  return out;
}

std::string output_of(const std::string& command) {
  std::string out;
  auto* p = ::popen((command + " 2>&1").c_str(), "re");
  REQUIRE(p != nullptr);
  char piece[4096];
  while (auto n = ::fread(piece, 1, sizeof piece, p))
    out.append(piece, n);
  ::pclose(p);
  return out;
}

} // namespace troupe::testing
