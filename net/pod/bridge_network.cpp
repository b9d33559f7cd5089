#include "net/packet/host_error.hpp"
#include "net/pod/network.hpp"

#include "net/packet/device.hpp"
#include "net/packet/namespace.hpp"
#include "net/packet/netlink.hpp"
#include "net/pod/address_pool.hpp"
#include "net/pod/lease_journal.hpp"
#include "net/pod/pod_rules.hpp"

#include <arpa/inet.h>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <ifaddrs.h>
#include <mutex>
#include <netinet/in.h>
#include <optional>
#include <unistd.h>
#include <unordered_set>

namespace troupe::net {

namespace {

/// Another device that holds the range or a part of it, in words; wider networks around it are fine, since the more
/// special route wins.
std::string range_in_use(const ipv4_prefix& range, const std::string& bridge) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return {};
  std::string out;
  for (auto* i = all; i && out.empty(); i = i->ifa_next) {
    if (!i->ifa_addr || !i->ifa_netmask || i->ifa_addr->sa_family != AF_INET || bridge == i->ifa_name) continue;
    auto address = ntohl(reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr.s_addr);
    auto mask = ntohl(reinterpret_cast<sockaddr_in*>(i->ifa_netmask)->sin_addr.s_addr);
    if (range.contains(address) && std::popcount(mask) >= range.length)
      out = std::string{i->ifa_name} + " has " + to_text(address);
  }
  ::freeifaddrs(all);
  return out;
}

struct namespace_handle {
  int fd;
  explicit namespace_handle(const std::string& path) : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~namespace_handle() {
    if (fd >= 0) ::close(fd);
  }
};

class bridge_network final : public pod_network {
public:
  explicit bridge_network(const pod_network_config& c, const ipv4_prefix& pods)
      : config_(c), pods_(pods), pool_(pods), journal_(c.state_file) {}

  result<void> up() override {
    std::lock_guard lock{mutex_};
    auto link = route_link::open();
    if (!link) return link.error();
    if (auto taken = range_in_use(pods_, config_.bridge); !taken.empty())
      return errors::bad_request("pod CIDR " + config_.pod_cidr + " is in use on this host (" + taken +
                                 "): set another pod CIDR in the config");
    if (auto done = make_bridge(*link); !done) return done;
    if (auto done = set_sysctls(); !done) return done;
    if (auto done = load_pod_rules(config_); !done) return done;
    if (!loaded_) {
      if (auto done = journal_.load(pool_); !done) return done;
      loaded_ = true;
    }
    return adopt_devices(*link);
  }

  result<std::string> attach(const std::string& pod_uid, const std::string& netns_path) override {
    auto address = lease(pod_uid);
    if (!address) return address.error();
    if (auto done = wire(pod_uid, *address, netns_path); !done) {
      give_back(pod_uid);
      return done.error();
    }
    return to_text(*address);
  }

  result<void> detach(const std::string& pod_uid) override {
    auto link = route_link::open();
    if (!link) return link.error();
    if (int index = link->index_of(device_name(config_.bridge, pod_uid)); index != 0)
      if (auto done = link->remove_link(index); !done) return done;
    return give_back(pod_uid);
  }

  std::string address(const std::string& pod_uid) override {
    std::lock_guard lock{mutex_};
    auto held = pool_.find(pod_uid);
    return held ? to_text(*held) : std::string{};
  }

  void keep_only(const std::vector<std::string>& pod_uids) override {
    std::unordered_set<std::string> kept{pod_uids.begin(), pod_uids.end()};
    std::vector<std::string> owners;
    {
      std::lock_guard lock{mutex_};
      owners = pool_.owners();
    }
    for (const auto& owner : owners)
      if (!kept.contains(owner)) (void)detach(owner); // a device that stays is met again at the next start
  }

  std::string gateway() const override { return to_text(pool_.gateway()); }

  result<void> down() override {
    std::lock_guard lock{mutex_};
    auto link = route_link::open();
    if (!link) return link.error();
    auto all = link->links();
    if (!all) return all.error();
    int bridge = link->index_of(config_.bridge);
    for (const auto& l : *all) {
      bool ours = l.alias.starts_with(alias_of("")) || (bridge != 0 && l.master == bridge);
      if (!ours) continue;
      if (auto done = link->remove_link(l.index); !done) return done;
    }
    if (bridge != 0)
      if (auto done = link->remove_link(bridge); !done) return done;
    if (auto done = remove_pod_rules(config_); !done) return done;
    for (const auto& owner : pool_.owners())
      pool_.release(owner);
    journal_.remove();
    loaded_ = false;
    return {};
  }

private:
  /// `troupe-x/<pod uid>/<address>`: what adoption reads when the address file is lost.
  std::string alias_of(const std::string& rest) const { return config_.bridge + '/' + rest; }

  result<void> make_bridge(route_link& link) {
    auto gateway = pool_.gateway();
    if (auto done = link.make_bridge({config_.bridge, config_.bridge, mac_of(gateway), config_.mtu}); !done)
      return done;
    int index = link.index_of(config_.bridge);
    if (auto done = link.add_address(index, gateway, pods_.length); !done) return done;
    if (auto done = link.set_up(index); !done) return done;
    bridge_index_ = index;
    auto services = parse_prefix(config_.service_cidr);
    if (!services) return {};
    return link.add_route(services->base, services->length, 0, index, gateway);
  }

  result<void> set_sysctls() {
    if (auto done = write_sysctl("net/ipv4/ip_forward", "1"); !done) return done;
    auto own = "net/ipv4/conf/" + config_.bridge + "/";
    // Node ports on 127.0.0.1 leave through the bridge with a loopback source until masquerade replaces it.
    if (auto done = write_sysctl(own + "route_localnet", "1"); !done) return done;
    // The kernel sends redirects when `all` or the device says so, and each one delays the ICMP errors behind it. The
    // other devices keep their own setting, which is on unless someone turned it off.
    if (auto done = write_sysctl(own + "send_redirects", "0"); !done) return done;
    return write_sysctl("net/ipv4/conf/all/send_redirects", "0");
  }

  /// Devices of running pods tell what a lost address file does not.
  result<void> adopt_devices(route_link& link) {
    auto all = link.links();
    if (!all) return all.error();
    auto prefix = alias_of("");
    for (const auto& l : *all) {
      if (!l.alias.starts_with(prefix)) continue;
      auto slash = l.alias.rfind('/');
      auto owner = l.alias.substr(prefix.size(), slash > prefix.size() ? slash - prefix.size() : 0);
      auto address = parse_ipv4(l.alias.substr(slash + 1));
      if (owner.empty() || !address || pool_.find(owner)) continue;
      if (!pool_.restore(owner, *address)) continue;
      if (auto done = journal_.taken(owner, *address, pool_); !done) return done;
    }
    return {};
  }

  result<std::uint32_t> lease(const std::string& pod_uid) {
    std::lock_guard lock{mutex_};
    if (!loaded_) return errors::unavailable("the pod network is not up yet");
    bool held = pool_.find(pod_uid).has_value();
    auto address = pool_.take(pod_uid);
    if (!address)
      return errors::insufficient_storage("all " + std::to_string(pool_.capacity()) + " addresses of " +
                                          config_.pod_cidr +
                                          " are held by pods: delete pods or give the node a larger "
                                          "pod CIDR");
    if (held) return *address;
    if (auto done = journal_.taken(pod_uid, *address, pool_); !done) {
      pool_.release(pod_uid);
      return done.error();
    }
    return *address;
  }

  result<void> give_back(const std::string& pod_uid) {
    std::lock_guard lock{mutex_};
    if (!pool_.release(pod_uid)) return {};
    return journal_.released(pod_uid, pool_);
  }

  result<void> wire(const std::string& pod_uid, std::uint32_t address, const std::string& netns_path) {
    auto inside = route_link::open(netns_path);
    if (!inside) return inside.error();
    auto host = route_link::open();
    if (!host) return host.error();
    auto name = device_name(config_.bridge, pod_uid);
    if (int old = host->index_of(name); old != 0) {
      if (inside->index_of("eth0") != 0) return configure(*inside, address, netns_path);
      // The namespace of an earlier attempt is gone or another; its wire is of no use.
      if (auto done = host->remove_link(old); !done) return done;
    }
    namespace_handle ns{netns_path};
    if (ns.fd < 0) return host_error("cannot open network namespace " + netns_path + ": " + std::strerror(errno));
    veth_spec spec{name, "eth0", {}, mac_of(address), config_.mtu, bridge_index_, ns.fd};
    if (auto done = host->make_veth(spec); !done) return done;
    int index = host->index_of(name);
    if (auto done = host->set_hairpin(index); !done) return done;
    if (auto done = host->set_alias(index, alias_of(pod_uid + '/' + to_text(address))); !done) return done;
    return configure(*inside, address, netns_path);
  }

  /// A /32 address and the gateway as only neighbour: pod to pod is routed, not switched, so that answers of a
  /// Service's pod pass the host's connection tracking without the br_netfilter module.
  result<void> configure(route_link& inside, std::uint32_t address, const std::string& netns_path) {
    if (auto done = inside.set_up(1); !done) return done;
    int eth0 = inside.index_of("eth0");
    if (auto done = inside.set_up(eth0); !done) return done;
    if (auto done = inside.add_address(eth0, address, 32); !done) return done;
    if (auto done = inside.add_route(pool_.gateway(), 32, 0, eth0, address); !done) return done;
    if (auto done = inside.add_route(0, 0, pool_.gateway(), eth0, address); !done) return done;
    return ignore_redirects(netns_path);
  }

  /// The host routes between ports of one bridge and may advise the pod of a shorter way: around the translation.
  result<void> ignore_redirects(const std::string& netns_path) {
    result<void> out;
    auto entered = in_namespace(netns_path, [&] {
      out = write_sysctl("net/ipv4/conf/all/accept_redirects", "0");
      if (out) out = write_sysctl("net/ipv4/conf/eth0/accept_redirects", "0");
    });
    return entered ? out : entered;
  }

  const pod_network_config config_;
  const ipv4_prefix pods_;
  std::mutex mutex_; // guards pool_, journal_, loaded_
  address_pool pool_;
  lease_journal journal_;
  bool loaded_ = false;
  int bridge_index_ = 0;
};

/// Stands in for a network whose configuration cannot work; every call says why.
class refused_network final : public pod_network {
public:
  explicit refused_network(std::string why) : why_(std::move(why)) {}
  result<void> up() override { return errors::bad_request(why_); }
  result<std::string> attach(const std::string&, const std::string&) override { return errors::bad_request(why_); }
  result<void> detach(const std::string&) override { return errors::bad_request(why_); }
  std::string address(const std::string&) override { return {}; }
  void keep_only(const std::vector<std::string>&) override {}
  std::string gateway() const override { return {}; }
  result<void> down() override { return errors::bad_request(why_); }

private:
  std::string why_;
};

} // namespace

std::shared_ptr<pod_network> make_bridge_network(const pod_network_config& c) {
  auto pods = parse_prefix(c.pod_cidr);
  if (!pods || pods->length > 30 || pods->length < 8)
    return std::make_shared<refused_network>("pod CIDR " + c.pod_cidr + " is not an IPv4 prefix of length 8 to 30");
  if (!parse_prefix(c.cluster_cidr))
    return std::make_shared<refused_network>("cluster CIDR " + c.cluster_cidr + " is not an IPv4 prefix");
  if (c.bridge.empty() || c.bridge.size() > 15)
    return std::make_shared<refused_network>("bridge name '" + c.bridge + "' does not have 1 to 15 characters");
  return std::make_shared<bridge_network>(c, *pods);
}

} // namespace troupe::net
