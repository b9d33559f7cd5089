#include "net/packet/conntrack.hpp"

#include "net/packet/host_error.hpp"
#include "net/packet/netlink.hpp"
#include "net/packet/netlink_attr.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace troupe::net {

namespace {

struct tuple {
  std::uint32_t source = 0, destination = 0;
  std::uint16_t source_port = 0, destination_port = 0, zone = 0;
  std::uint8_t protocol = 0;
};

void read_addresses(const nlattr* nest, tuple& out) {
  each_nested(nest, [&](const nlattr* a) {
    if (mnl_attr_get_type(a) == CTA_IP_V4_SRC) out.source = ntohl(mnl_attr_get_u32(a));
    if (mnl_attr_get_type(a) == CTA_IP_V4_DST) out.destination = ntohl(mnl_attr_get_u32(a));
  });
}

void read_ports(const nlattr* nest, tuple& out) {
  each_nested(nest, [&](const nlattr* a) {
    switch (mnl_attr_get_type(a)) {
    case CTA_PROTO_NUM: out.protocol = mnl_attr_get_u8(a); break;
    case CTA_PROTO_SRC_PORT: out.source_port = ntohs(mnl_attr_get_u16(a)); break;
    case CTA_PROTO_DST_PORT: out.destination_port = ntohs(mnl_attr_get_u16(a)); break;
    default: break;
    }
  });
}

tuple read_tuple(const nlattr* nest) {
  tuple out;
  each_nested(nest, [&](const nlattr* a) {
    if (mnl_attr_get_type(a) == CTA_TUPLE_IP) read_addresses(a, out);
    if (mnl_attr_get_type(a) == CTA_TUPLE_PROTO) read_ports(a, out);
  });
  return out;
}

struct flow {
  tuple sent, answered;
};

flow read_flow(const nlmsghdr* h) {
  flow out;
  std::uint16_t zone = 0;
  each_attribute(h, sizeof(nfgenmsg), [&](const nlattr* a) {
    if (mnl_attr_get_type(a) == CTA_TUPLE_ORIG) out.sent = read_tuple(a);
    if (mnl_attr_get_type(a) == CTA_TUPLE_REPLY) out.answered = read_tuple(a);
    if (mnl_attr_get_type(a) == CTA_ZONE) zone = ntohs(mnl_attr_get_u16(a));
  });
  out.sent.zone = zone;
  return out;
}

bool matches(const flow& f, const stale_flow& s) {
  if (s.address != 0 && f.sent.destination != s.address) return false;
  if (s.port != 0 && f.sent.destination_port != s.port) return false;
  if (!s.unless.empty()) {
    auto answers = std::pair{f.answered.source, f.answered.source_port};
    return std::find(s.unless.begin(), s.unless.end(), answers) == s.unless.end();
  }
  if (s.backend == 0) return f.answered.source == f.sent.destination;
  return f.answered.source == s.backend && (s.backend_port == 0 || f.answered.source_port == s.backend_port);
}

nlmsghdr* header(char* buffer, std::uint16_t what, std::uint16_t flags) {
  auto* h = mnl_nlmsg_put_header(buffer);
  h->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | what);
  h->nlmsg_flags = flags;
  auto* body = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(h, sizeof(nfgenmsg)));
  body->nfgen_family = AF_INET;
  body->version = NFNETLINK_V0;
  return h;
}

int remove(netlink_socket& socket, const tuple& t) {
  alignas(nlmsghdr) char buffer[512] = {};
  auto* h = header(buffer, IPCTNL_MSG_CT_DELETE, 0);
  auto* whole = mnl_attr_nest_start(h, CTA_TUPLE_ORIG);
  auto* addresses = mnl_attr_nest_start(h, CTA_TUPLE_IP);
  mnl_attr_put_u32(h, CTA_IP_V4_SRC, htonl(t.source));
  mnl_attr_put_u32(h, CTA_IP_V4_DST, htonl(t.destination));
  mnl_attr_nest_end(h, addresses);
  auto* ports = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(h, CTA_PROTO_NUM, t.protocol);
  mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, htons(t.source_port));
  mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, htons(t.destination_port));
  mnl_attr_nest_end(h, ports);
  mnl_attr_nest_end(h, whole);
  if (t.zone != 0) mnl_attr_put_u16(h, CTA_ZONE, htons(t.zone));
  return socket.ask(h);
}

} // namespace

result<std::size_t> forget_udp_flows(const std::vector<stale_flow>& stale) {
  if (stale.empty()) return std::size_t{0};
  auto socket = netlink_socket::open(NETLINK_NETFILTER);
  if (!socket) return socket.error();
  alignas(nlmsghdr) char buffer[256] = {};
  std::vector<tuple> found;
  int error = socket->dump(header(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP), [&](const nlmsghdr* h) {
    auto f = read_flow(h);
    if (f.sent.protocol != IPPROTO_UDP) return;
    for (const auto& s : stale) {
      if (!matches(f, s)) continue;
      found.push_back(f.sent);
      return;
    }
  });
  if (error != 0) return host_error(std::string{"cannot read connection tracking: "} + std::strerror(error));
  std::size_t removed = 0;
  for (const auto& t : found)
    if (remove(*socket, t) == 0) ++removed; // an entry that ended meanwhile is as good
  return removed;
}

} // namespace troupe::net
