#include "actors/node/node_base.hpp"

#include "actors/node/dir_lock.hpp"

#include <spdlog/spdlog.h>

namespace troupe::node {

namespace {
constexpr std::chrono::milliseconds look_again{50};
constexpr std::chrono::seconds say_again{10};
} // namespace

component_env node_base::env(cluster_door door, identity who) const {
  component_env out;
  out.api = std::move(door.api);
  out.state = std::move(door.state);
  out.hub = std::move(door.hub);
  out.board = board;
  out.who = std::move(who);
  out.node_name = self().name;
  return out;
}

bool node_base::await(const std::shared_future<void>& done, const std::string& what) const {
  auto say = std::chrono::steady_clock::now() + say_again;
  while (done.wait_for(look_again) != std::future_status::ready) {
    if (options.give_up && options.give_up()) return false;
    const auto now = std::chrono::steady_clock::now();
    if (now < say) continue;
    say = now + say_again;
    log->warn("still waiting for {}", what);
  }
  return true;
}

identity component_identity(std::string user, std::vector<std::string> groups) {
  identity who;
  who.user = std::move(user);
  who.groups = std::move(groups);
  who.groups.push_back("system:authenticated");
  return who;
}

result<std::shared_ptr<const tls::pki>> open_node_keys(const node_options& options, const cluster_identity& cluster,
                                                       const std::vector<std::string>& addresses) {
  const auto& self = options.self;
  tls::pki_options o;
  o.dir = options.data_dir + "/pki";
  o.node_name = self.name;
  o.names = {self.name, "kubernetes.default.svc." + options.cluster.network.cluster_domain};
  o.addresses = {address_at(cluster.service_cidr, 1)};
  o.addresses.insert(o.addresses.end(), addresses.begin(), addresses.end());
  if (self.listen != "0.0.0.0") o.addresses.push_back(self.listen);
  if (!cluster.can_grow()) return tls::open_pki(o);
  // The nodes of this machine share the directory, and begin at the same time.
  auto lock = dir_lock::take(options.data_dir);
  if (!lock) return lock.error();
  o.node_dir = o.dir + "/" + self.name;
  o.control_plane = self.master;
  return tls::open_pki(o);
}

} // namespace troupe::node
