#include "net/packet/netlink.hpp"

#include "net/packet/host_error.hpp"
#include "net/packet/namespace.hpp"

#include <cerrno>
#include <cstring>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <utility>

namespace troupe::net {

namespace {

result<mnl_socket*> open_here(int bus) {
  auto* s = mnl_socket_open2(bus, SOCK_CLOEXEC);
  if (!s) return host_error(std::string{"cannot open a netlink socket: "} + std::strerror(errno));
  if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
    auto why = std::string{"cannot bind a netlink socket: "} + std::strerror(errno);
    mnl_socket_close(s);
    return host_error(why);
  }
  // The kernel answers at once; a bound keeps a lost answer from holding a thread for ever.
  timeval wait{5, 0};
  ::setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  return s;
}

/// A socket belongs to the namespace of the thread that opens it.
result<mnl_socket*> open_inside(int bus, const std::string& netns_path) {
  result<mnl_socket*> out = host_error("not opened");
  auto entered = in_namespace(netns_path, [&] { out = open_here(bus); });
  if (!entered) return entered.error();
  return out;
}

using each_fn = std::function<void(const nlmsghdr*)>;

int on_message(const nlmsghdr* h, void* data) {
  const auto* each = static_cast<const each_fn*>(data);
  if (each && *each) (*each)(h);
  return MNL_CB_OK;
}

} // namespace

result<netlink_socket> netlink_socket::open(int bus, const std::string& netns_path) {
  auto s = netns_path.empty() ? open_here(bus) : open_inside(bus, netns_path);
  if (!s) return s.error();
  return netlink_socket{*s};
}

netlink_socket::netlink_socket(netlink_socket&& other) noexcept : socket_(other.socket_), sequence_(other.sequence_) {
  other.socket_ = nullptr;
}

netlink_socket& netlink_socket::operator=(netlink_socket&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(sequence_, other.sequence_);
  return *this;
}

netlink_socket::~netlink_socket() {
  if (socket_) mnl_socket_close(socket_);
}

int netlink_socket::ask(nlmsghdr* request) {
  request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  return dump(request, {});
}

int netlink_socket::dump(nlmsghdr* request, const each_fn& each) {
  request->nlmsg_flags |= NLM_F_REQUEST;
  request->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_, request, request->nlmsg_len) < 0) return errno;
  std::vector<char> buffer(65536);
  auto port = mnl_socket_get_portid(socket_);
  for (;;) {
    auto n = mnl_socket_recvfrom(socket_, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    // An answer to an earlier request that timed out is skipped.
    const auto* first = reinterpret_cast<const nlmsghdr*>(buffer.data());
    if (n >= static_cast<ssize_t>(sizeof(nlmsghdr)) && first->nlmsg_seq != sequence_) continue;
    int state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(n), sequence_, port, on_message,
                           const_cast<each_fn*>(&each));
    if (state < 0) return errno;
    if (state == MNL_CB_STOP) return 0;
  }
}

} // namespace troupe::net
