// Removes what a data dir's nodes left on the host, and the data itself: `troupe down --purge`.
#include "actors/node/cluster_identity.hpp"
#include "actors/node/node.hpp"
#include "actors/node/pod_range.hpp"
#include "actors/proxy/proxy_actor.hpp"
#include "net/host/node_network.hpp"
#include "net/pod/network.hpp"
#include "net/pod/peer_routes.hpp"
#include "runtime/engine.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/mount.h>
#include <unistd.h>

namespace troupe::node {

namespace fs = std::filesystem;

namespace {

/// A node's directory is known by its lock file; anything else in the data dir is not ours to remove.
std::vector<std::string> node_names(const std::string& data_dir) {
  std::vector<std::string> out;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(data_dir, ec))
    if (entry.is_directory(ec) && fs::exists(entry.path() / "lock", ec)) out.push_back(entry.path().filename());
  return out;
}

/// Mount points at or below `dir`, deepest first. The kernel writes blanks in paths as \\040.
std::vector<std::string> mounts_below(const std::string& dir) {
  std::vector<std::string> out;
  std::ifstream in("/proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string skip, point;
    words >> skip >> skip >> skip >> skip >> point;
    for (std::size_t at; (at = point.find("\\040")) != std::string::npos;)
      point.replace(at, 4, " ");
    if (point == dir || point.starts_with(dir + "/")) out.push_back(point);
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  return out;
}

/// Volumes of pods are tmpfs mounts; nothing of ours may stay mounted below what is removed.
result<void> unmount_below(const std::string& dir) {
  for (const auto& point : mounts_below(dir))
    if (::umount2(point.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
      return errors::bad_request("cannot unmount " + point + ": " + std::strerror(errno));
  return {};
}

result<void> remove_tree(const fs::path& p) {
  std::error_code ec;
  fs::remove_all(p, ec);
  if (ec) return errors::bad_request("cannot remove " + p.string() + ": " + ec.message());
  return {};
}

result<void> purge_host(const cluster_identity& cluster, const std::string& data_dir, const std::string& name) {
  const auto layout = layout_of(data_dir, name, cluster);
  if (auto r = runtime::purge({layout.containers_dir, layout.run_dir, layout.cgroup}); !r) return r;
  if (auto r = unmount_below(fs::canonical(layout.node_dir).string()); !r) return r;
  // A node in a namespace has its wires and rules there; they end with it.
  if (cluster.addresses.contains(name)) return {};
  net::pod_network_config wires;
  wires.bridge = layout.bridge;
  wires.cluster_cidr = cluster.pod_cidr;
  wires.pod_cidr = fixed_pod_range(cluster, name);
  if (wires.pod_cidr.empty()) wires.pod_cidr = remembered_pod_range(layout.node_dir);
  if (wires.pod_cidr.empty()) return {}; // a master, or a worker that never got as far
  wires.service_cidr = cluster.service_cidr;
  wires.state_file = layout.node_dir + "/addresses.json";
  wires.chain_prefix = "TROUPE-" + cluster.id;
  if (auto r = net::make_bridge_network(wires)->down(); !r) return r;
  return cluster.can_grow() ? net::keep_peer_routes({}, cluster.pod_cidr) : result<void>{};
}

/// The node's namespaces are entered by nobody any more: what is in them goes with them.
result<void> purge_network(const cluster_identity& cluster) {
  if (cluster.node_cidr.empty()) return {};
  return net::remove_node_network({cluster.id, cluster.node_cidr});
}

} // namespace

result<void> purge_data_dir(const std::string& data_dir) {
  auto cluster = read_identity(data_dir);
  if (!cluster && cluster.error().code != 404) return cluster.error();
  const auto names = node_names(data_dir);
  if (cluster) {
    if (::geteuid() != 0) return errors::bad_request("--purge removes mounts and network rules, which needs root");
    for (const auto& name : names)
      if (auto r = purge_host(*cluster, data_dir, name); !r) return r;
    if (auto r = remove_proxy_rules(cluster->id); !r) return r;
    if (auto r = purge_network(*cluster); !r) return r;
    if (auto r = remove_tree(fs::path{"/run/troupe"} / cluster->id); !r) return r;
    std::error_code ignored; // other clusters may still use it
    fs::remove("/run/troupe", ignored);
  }
  for (const auto& name : names)
    if (auto r = remove_tree(fs::path{data_dir} / name); !r) return r;
  for (const char* own : {"pki", "cluster.json", "admin.kubeconfig", "supervisor.lock"})
    if (auto r = remove_tree(fs::path{data_dir} / own); !r) return r;
  std::error_code ignored; // not empty: the user keeps something of his own there
  fs::remove(data_dir, ignored);
  return {};
}

} // namespace troupe::node
