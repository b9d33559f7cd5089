// netlink: one socket to the kernel, requests with acknowledgement and dumps; links, addresses and routes on top.
// Owner:  one thread at a time per socket; the socket stays in the network namespace in which it was opened.
// Units:  -
// Errors: status whose message names the operation and the kernel's errno text; errno itself in `code_of`.
// Source: rtnetlink(7), libmnl.
#pragma once

#include "api/status.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

struct nlmsghdr;
struct mnl_socket;

namespace troupe::net {

class netlink_socket {
public:
  /// `bus` is NETLINK_ROUTE or NETLINK_NETFILTER. A non-empty netns_path opens it inside that namespace.
  static result<netlink_socket> open(int bus, const std::string& netns_path = {});
  netlink_socket(netlink_socket&& other) noexcept;
  netlink_socket& operator=(netlink_socket&& other) noexcept;
  ~netlink_socket();

  /// Sends and waits for the acknowledgement; returns 0 or the errno.
  int ask(nlmsghdr* request);
  /// Sends a dump request and calls `each` per message; returns 0 or the errno.
  int dump(nlmsghdr* request, const std::function<void(const nlmsghdr*)>& each);

private:
  explicit netlink_socket(mnl_socket* s) noexcept : socket_(s) {}
  mnl_socket* socket_ = nullptr;
  std::uint32_t sequence_ = 0;
};

using mac_address = std::array<std::uint8_t, 6>;

struct link_info {
  int index = 0, master = 0;
  std::string name, kind, alias;
  bool up = false;
};

struct bridge_spec {
  std::string name, alias;
  mac_address mac{};
  int mtu = 1500;
};
struct veth_spec {
  std::string host_name, pod_name, alias;
  mac_address pod_mac{};
  int mtu = 1500, master = 0, netns_fd = -1;
};

/// A route to a network behind a neighbour, marked as ours.
struct peer_route {
  std::uint32_t destination = 0;
  int prefix = 0;
  std::uint32_t gateway = 0;
  friend auto operator<=>(const peer_route&, const peer_route&) = default;
};

/// Links, addresses and routes of one namespace. Addresses are host byte order.
class route_link {
public:
  static result<route_link> open(const std::string& netns_path = {});

  result<std::vector<link_info>> links();
  /// Index of a link, 0 when there is none.
  int index_of(const std::string& name);
  result<void> make_bridge(const bridge_spec&);
  /// Makes both ends at once: the pod's end is born in its namespace, the host's end as a port of the bridge.
  result<void> make_veth(const veth_spec&);
  /// A frame may leave the port on which it came: a pod reaches itself through a Service.
  result<void> set_hairpin(int index);
  result<void> set_up(int index);
  result<void> set_alias(int index, const std::string& alias);
  result<void> add_address(int index, std::uint32_t address, int prefix);
  /// gateway 0: directly on the link; source 0: the kernel's choice.
  result<void> add_route(std::uint32_t destination, int prefix, std::uint32_t gateway, int index,
                         std::uint32_t source = 0);
  /// Of the main table, those that set_peer_route made (by whatever process).
  result<std::vector<peer_route>> peer_routes();
  /// Replaces another route of ours to the same network.
  result<void> set_peer_route(const peer_route&);
  /// Absence is success.
  result<void> remove_peer_route(const peer_route&);
  /// Absence is success.
  result<void> remove_link(int index);

private:
  explicit route_link(netlink_socket s) noexcept : socket_(std::move(s)) {}
  netlink_socket socket_;
};

} // namespace troupe::net
