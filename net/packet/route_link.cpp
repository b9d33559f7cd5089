#include "net/packet/address.hpp"
#include "net/packet/host_error.hpp"
#include "net/packet/limits.hpp"
#include "net/packet/netlink.hpp"
#include "net/packet/netlink_attr.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <libmnl/libmnl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

namespace troupe::net {

namespace {

/// One message under construction, in a buffer of its own.
struct message {
  alignas(nlmsghdr) char bytes[limits::netlink_message_bytes_max] = {};
  nlmsghdr* head;
  explicit message(std::uint16_t type, std::uint16_t flags = 0) : head(mnl_nlmsg_put_header(bytes)) {
    head->nlmsg_type = type;
    head->nlmsg_flags = flags;
  }
  template <class T>
  T* body() {
    return static_cast<T*>(mnl_nlmsg_put_extra_header(head, sizeof(T)));
  }
  void text(std::uint16_t type, const std::string& value) { mnl_attr_put_strz(head, type, value.c_str()); }
  void number(std::uint16_t type, std::uint32_t value) { mnl_attr_put_u32(head, type, value); }
  void mac(std::uint16_t type, const mac_address& value) { mnl_attr_put(head, type, value.size(), value.data()); }
  nlattr* nest(std::uint16_t type) { return mnl_attr_nest_start(head, type); }
  void end(nlattr* nested) { mnl_attr_nest_end(head, nested); }
};

result<void> outcome(int error, const std::string& what) {
  if (error == 0) return {};
  std::string hint;
  if (error == EPERM) hint = " (root or CAP_NET_ADMIN is needed)";
  if (error == EOPNOTSUPP) hint = " (the kernel lacks this kind of device)";
  return host_error("cannot " + what + ": " + std::strerror(error) + hint);
}

void read_link_kind(const nlattr* info, link_info& out) {
  each_nested(info, [&](const nlattr* a) {
    if (mnl_attr_get_type(a) == IFLA_INFO_KIND) out.kind = mnl_attr_get_str(a);
  });
}

link_info read_link(const nlmsghdr* h) {
  link_info out;
  const auto* body = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(h));
  out.index = body->ifi_index;
  out.up = (body->ifi_flags & IFF_UP) != 0;
  each_attribute(h, sizeof(ifinfomsg), [&](const nlattr* a) {
    switch (mnl_attr_get_type(a)) {
    case IFLA_IFNAME: out.name = mnl_attr_get_str(a); break;
    case IFLA_IFALIAS: out.alias = mnl_attr_get_str(a); break;
    case IFLA_MASTER: out.master = static_cast<int>(mnl_attr_get_u32(a)); break;
    case IFLA_LINKINFO: read_link_kind(a, out); break;
    default: break;
    }
  });
  return out;
}

/// How routes of ours are told from those of routing daemons and of people; a number that no known program uses.
constexpr unsigned char route_protocol = 0xa7;

peer_route read_route(const nlmsghdr* h, const rtmsg& body) {
  peer_route out;
  out.prefix = body.rtm_dst_len;
  each_attribute(h, sizeof(rtmsg), [&](const nlattr* a) {
    if (mnl_attr_get_type(a) == RTA_DST) out.destination = ntohl(mnl_attr_get_u32(a));
    if (mnl_attr_get_type(a) == RTA_GATEWAY) out.gateway = ntohl(mnl_attr_get_u32(a));
  });
  return out;
}

void put_peer_route(message& m, const peer_route& r) {
  auto* body = m.body<rtmsg>();
  body->rtm_family = AF_INET;
  body->rtm_dst_len = static_cast<unsigned char>(r.prefix);
  body->rtm_table = RT_TABLE_MAIN;
  body->rtm_protocol = route_protocol;
  body->rtm_scope = RT_SCOPE_UNIVERSE;
  body->rtm_type = RTN_UNICAST;
  m.number(RTA_DST, htonl(r.destination));
  m.number(RTA_GATEWAY, htonl(r.gateway));
}

std::string words(const peer_route& r) {
  return to_text(r.destination) + '/' + std::to_string(r.prefix) + " via " + to_text(r.gateway);
}

} // namespace

result<route_link> route_link::open(const std::string& netns_path) {
  auto s = netlink_socket::open(NETLINK_ROUTE, netns_path);
  if (!s) return s.error();
  return route_link{std::move(*s)};
}

result<std::vector<link_info>> route_link::links() {
  message m{RTM_GETLINK, NLM_F_DUMP};
  m.body<ifinfomsg>()->ifi_family = AF_UNSPEC;
  std::vector<link_info> out;
  int error = socket_.dump(m.head, [&](const nlmsghdr* h) { out.push_back(read_link(h)); });
  if (auto ok = outcome(error, "list network devices"); !ok) return ok.error();
  return out;
}

int route_link::index_of(const std::string& name) {
  message m{RTM_GETLINK, NLM_F_ACK};
  m.body<ifinfomsg>()->ifi_family = AF_UNSPEC;
  m.text(IFLA_IFNAME, name);
  int index = 0;
  socket_.dump(m.head, [&](const nlmsghdr* h) {
    if (h->nlmsg_type == RTM_NEWLINK) index = read_link(h).index;
  });
  return index;
}

result<void> route_link::make_bridge(const bridge_spec& spec) {
  message m{RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL};
  m.body<ifinfomsg>();
  m.text(IFLA_IFNAME, spec.name);
  m.mac(IFLA_ADDRESS, spec.mac);
  m.number(IFLA_MTU, static_cast<std::uint32_t>(spec.mtu));
  auto* info = m.nest(IFLA_LINKINFO);
  m.text(IFLA_INFO_KIND, "bridge");
  m.end(info);
  int error = socket_.ask(m.head);
  if (error != 0 && error != EEXIST) return outcome(error, "make bridge " + spec.name);
  return set_alias(index_of(spec.name), spec.alias);
}

result<void> route_link::make_veth(const veth_spec& spec) {
  message m{RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL};
  auto* body = m.body<ifinfomsg>();
  body->ifi_flags = IFF_UP;
  body->ifi_change = IFF_UP;
  m.text(IFLA_IFNAME, spec.host_name);
  m.number(IFLA_MTU, static_cast<std::uint32_t>(spec.mtu));
  m.number(IFLA_MASTER, static_cast<std::uint32_t>(spec.master));
  auto* info = m.nest(IFLA_LINKINFO);
  m.text(IFLA_INFO_KIND, "veth");
  auto* data = m.nest(IFLA_INFO_DATA);
  auto* peer = m.nest(VETH_INFO_PEER);
  m.body<ifinfomsg>();
  m.text(IFLA_IFNAME, spec.pod_name);
  m.mac(IFLA_ADDRESS, spec.pod_mac);
  m.number(IFLA_MTU, static_cast<std::uint32_t>(spec.mtu));
  m.number(IFLA_NET_NS_FD, static_cast<std::uint32_t>(spec.netns_fd));
  m.end(peer);
  m.end(data);
  m.end(info);
  return outcome(socket_.ask(m.head), "make device " + spec.host_name);
}

result<void> route_link::set_hairpin(int index) {
  message m{RTM_SETLINK};
  auto* body = m.body<ifinfomsg>();
  body->ifi_family = AF_BRIDGE;
  body->ifi_index = index;
  auto* port = m.nest(IFLA_PROTINFO | NLA_F_NESTED);
  mnl_attr_put_u8(m.head, IFLA_BRPORT_MODE, BRIDGE_MODE_HAIRPIN);
  m.end(port);
  return outcome(socket_.ask(m.head), "set hairpin mode of a bridge port");
}

result<void> route_link::set_up(int index) {
  message m{RTM_NEWLINK};
  auto* body = m.body<ifinfomsg>();
  body->ifi_index = index;
  body->ifi_flags = IFF_UP;
  body->ifi_change = IFF_UP;
  return outcome(socket_.ask(m.head), "bring a device up");
}

result<void> route_link::set_alias(int index, const std::string& alias) {
  message m{RTM_SETLINK};
  m.body<ifinfomsg>()->ifi_index = index;
  mnl_attr_put(m.head, IFLA_IFALIAS, alias.size(), alias.data());
  return outcome(socket_.ask(m.head), "label a device");
}

result<void> route_link::add_address(int index, std::uint32_t address, int prefix) {
  message m{RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE};
  auto* body = m.body<ifaddrmsg>();
  body->ifa_family = AF_INET;
  body->ifa_prefixlen = static_cast<unsigned char>(prefix);
  body->ifa_index = static_cast<unsigned>(index);
  m.number(IFA_LOCAL, htonl(address));
  m.number(IFA_ADDRESS, htonl(address));
  int error = socket_.ask(m.head);
  return outcome(error == EEXIST ? 0 : error, "set address " + to_text(address));
}

result<void> route_link::add_route(std::uint32_t destination, int prefix, std::uint32_t gateway, int index,
                                   std::uint32_t source) {
  message m{RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL}; // a route that someone else made stays
  auto* body = m.body<rtmsg>();
  body->rtm_family = AF_INET;
  body->rtm_dst_len = static_cast<unsigned char>(prefix);
  body->rtm_table = RT_TABLE_MAIN;
  body->rtm_protocol = RTPROT_BOOT;
  body->rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  body->rtm_type = RTN_UNICAST;
  if (prefix > 0) m.number(RTA_DST, htonl(destination));
  if (gateway) m.number(RTA_GATEWAY, htonl(gateway));
  if (source) m.number(RTA_PREFSRC, htonl(source));
  m.number(RTA_OIF, static_cast<std::uint32_t>(index));
  int error = socket_.ask(m.head);
  return outcome(error == EEXIST ? 0 : error, "set route to " + to_text(destination) + '/' + std::to_string(prefix));
}

result<std::vector<peer_route>> route_link::peer_routes() {
  message m{RTM_GETROUTE, NLM_F_DUMP};
  m.body<rtmsg>()->rtm_family = AF_INET;
  std::vector<peer_route> out;
  const int error = socket_.dump(m.head, [&](const nlmsghdr* h) {
    const auto* body = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(h));
    if (body->rtm_protocol == route_protocol && body->rtm_table == RT_TABLE_MAIN) out.push_back(read_route(h, *body));
  });
  if (auto ok = outcome(error, "list routes"); !ok) return ok.error();
  return out;
}

result<void> route_link::set_peer_route(const peer_route& r) {
  message m{RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE};
  put_peer_route(m, r);
  return outcome(socket_.ask(m.head), "set route to " + words(r));
}

result<void> route_link::remove_peer_route(const peer_route& r) {
  message m{RTM_DELROUTE};
  put_peer_route(m, r);
  const int error = socket_.ask(m.head);
  return outcome(error == ESRCH ? 0 : error, "remove route to " + words(r));
}

result<void> route_link::remove_link(int index) {
  message m{RTM_DELLINK};
  m.body<ifinfomsg>()->ifi_index = index;
  int error = socket_.ask(m.head);
  return outcome(error == ENODEV ? 0 : error, "remove a device");
}

} // namespace troupe::net
