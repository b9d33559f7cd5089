#include "net/host/node_network.hpp"

#include "net/host/named_namespace.hpp"
#include "net/packet/address.hpp"
#include "net/packet/device.hpp"
#include "net/packet/host_error.hpp"
#include "net/packet/namespace.hpp"
#include "net/packet/netlink.hpp"
#include "net/pod/pod_rules.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

namespace troupe::net {

namespace {

constexpr std::size_t node_name_bytes_max = 64; // in the name of a namespace
constexpr int loopback_index = 1;

/// The rules a bridge of pods needs, a bridge of nodes needs too: masquerade to the outside, forwarding accepted.
pod_network_config rules_of(const node_network_config& c) {
  pod_network_config out;
  out.bridge = node_bridge_name(c.cluster_id);
  out.pod_cidr = out.cluster_cidr = c.cidr;
  out.chain_prefix = "TROUPE-" + c.cluster_id + "N";
  out.mtu = c.mtu;
  return out;
}

result<ipv4_prefix> range_of(const node_network_config& c) {
  const auto range = parse_prefix(c.cidr);
  if (!range || range->length > 29)
    return errors::bad_request("\"" + c.cidr +
                               "\" is no network for the nodes of this machine; it needs a prefix of "
                               "at most 29 bits");
  return *range;
}

result<void> wire(const node_network_config& c, const std::string& node, std::uint32_t address) {
  const auto bridge = node_bridge_name(c.cluster_id);
  const auto path = node_namespace_path(c.cluster_id, node);
  auto host = route_link::open();
  if (!host) return host.error();
  auto inside = route_link::open(path);
  if (!inside) return inside.error();
  const auto name = device_name(bridge, node);
  int index = host->index_of(name);
  if (index != 0 && inside->index_of("eth0") != 0) return {};
  if (index != 0) // the other end was in a namespace that is gone
    if (auto done = host->remove_link(index); !done) return done;
  const int ns = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (ns < 0) return host_error("cannot open network namespace " + path + ": " + std::strerror(errno));
  auto made = host->make_veth({name, "eth0", {}, mac_of(address), c.mtu, host->index_of(bridge), ns});
  ::close(ns);
  if (!made) return made;
  index = host->index_of(name);
  return host->set_alias(index, bridge + "/" + node);
}

result<void> configure(const node_network_config& c, const std::string& node, std::uint32_t address,
                       const ipv4_prefix& range) {
  auto inside = route_link::open(node_namespace_path(c.cluster_id, node));
  if (!inside) return inside.error();
  if (auto done = inside->set_up(loopback_index); !done) return done;
  const int eth0 = inside->index_of("eth0");
  if (auto done = inside->set_up(eth0); !done) return done;
  if (auto done = inside->add_address(eth0, address, range.length); !done) return done;
  return inside->add_route(0, 0, range.base + 1, eth0, address);
}

} // namespace

std::string node_bridge_name(std::string_view cluster_id) { return "troupe-" + std::string{cluster_id} + "n"; }

std::string node_namespace_name(std::string_view cluster_id, std::string_view node) {
  std::string name{node};
  if (name.size() > node_name_bytes_max) {
    const auto hash = device_name("", name).substr(6);
    name.resize(node_name_bytes_max - hash.size() - 1);
    name += "-" + hash;
  }
  return "troupe-" + std::string{cluster_id} + "-" + name;
}

std::string node_namespace_path(std::string_view cluster_id, std::string_view node) {
  return std::string{namespaces_dir} + "/" + node_namespace_name(cluster_id, node);
}

result<void> make_node_bridge(const node_network_config& c) {
  auto range = range_of(c);
  if (!range) return range.error();
  auto link = route_link::open();
  if (!link) return link.error();
  const auto bridge = node_bridge_name(c.cluster_id);
  const auto gateway = range->base + 1;
  if (auto done = link->make_bridge({bridge, bridge, mac_of(gateway), c.mtu}); !done) return done;
  const int index = link->index_of(bridge);
  if (auto done = link->add_address(index, gateway, range->length); !done) return done;
  if (auto done = link->set_up(index); !done) return done;
  if (auto done = write_sysctl("net/ipv4/ip_forward", "1"); !done) return done;
  return load_pod_rules(rules_of(c));
}

result<void> make_node_namespace(const node_network_config& c, const std::string& node, const std::string& address) {
  auto range = range_of(c);
  if (!range) return range.error();
  const auto own = parse_ipv4(address);
  if (!own || !range->contains(*own))
    return errors::bad_request("address \"" + address + "\" of node " + node + " is not in " + c.cidr);
  if (auto done = make_named_namespace(node_namespace_name(c.cluster_id, node)); !done) return done;
  if (auto done = wire(c, node, *own); !done) return done;
  return configure(c, node, *own, *range);
}

result<void> enter_node_namespace(std::string_view cluster_id, std::string_view node) {
  const auto path = node_namespace_path(cluster_id, node);
  const int ns = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (ns < 0) return host_error("cannot open network namespace " + path + ": " + std::strerror(errno));
  const int failed = ::setns(ns, CLONE_NEWNET) == 0 ? 0 : errno;
  ::close(ns);
  if (failed == 0) return {};
  return host_error("cannot enter network namespace " + path + ": " + std::strerror(failed) +
                    (failed == EPERM ? " (root is needed)" : ""));
}

result<void> remove_node_network(const node_network_config& c) {
  const auto bridge = node_bridge_name(c.cluster_id);
  auto link = route_link::open();
  if (!link) return link.error();
  auto all = link->links();
  if (!all) return all.error();
  for (const auto& l : *all)
    if (l.alias.starts_with(bridge + "/"))
      if (auto done = link->remove_link(l.index); !done) return done;
  for (const auto& name : named_namespaces("troupe-" + c.cluster_id + "-"))
    if (auto done = remove_named_namespace(name); !done) return done;
  if (const int index = link->index_of(bridge); index != 0)
    if (auto done = link->remove_link(index); !done) return done;
  return remove_pod_rules(rules_of(c));
}

} // namespace troupe::net
