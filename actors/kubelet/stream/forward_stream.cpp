#include "actors/kubelet/stream/fd_stream.hpp"
#include "actors/kubelet/stream/stream_door.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace troupe::kubelet {

namespace {

constexpr int connect_ms_max = 10'000;

int connect_loopback(std::uint16_t port, int& error) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    error = errno;
    return -1;
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno == EINPROGRESS) {
    pollfd p{fd, POLLOUT, 0};
    socklen_t size = sizeof error;
    if (::poll(&p, 1, connect_ms_max) == 1)
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    else
      error = ETIMEDOUT;
  } else if (fd >= 0 && errno != EINPROGRESS && errno != 0) {
    error = errno;
  }
  if (error == 0) {
    int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
  }
  ::close(fd);
  return -1;
}

/// A thread of its own enters the pod's network namespace: a namespace belongs to a thread, and this one ends with it.
int connect_inside(const std::string& netns_path, std::uint16_t port, int& error) {
  int fd = -1;
  std::thread([&] {
    if (!netns_path.empty()) {
      int ns = ::open(netns_path.c_str(), O_RDONLY | O_CLOEXEC);
      if (ns < 0 || ::setns(ns, CLONE_NEWNET) != 0) error = errno;
      if (ns >= 0) ::close(ns);
      if (error) return;
    }
    errno = 0;
    fd = connect_loopback(port, error);
  }).join();
  return fd;
}

} // namespace

result<pod_stream_ptr> make_forward_stream(const context_ptr& ctx, const std::string& netns_path, std::uint16_t port,
                                           const std::string& pod_title) {
  int error = 0;
  int fd = connect_inside(netns_path, port, error);
  if (fd < 0)
    return errors::internal("error forwarding port " + std::to_string(port) + " to pod " + pod_title +
                            ": failed to connect to localhost:" + std::to_string(port) +
                            " inside namespace: " + std::strerror(error));
  fd_stream_setup s;
  s.out = fd;
  s.in = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  s.in_is_socket = true;
  s.end = [] { return stream_chunk{3, {}, true}; };
  return make_fd_stream(ctx, std::move(s));
}

} // namespace troupe::kubelet
