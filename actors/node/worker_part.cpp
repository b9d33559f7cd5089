#include "actors/node/worker_part.hpp"

#include "actors/kubelet/kubelet.hpp"
#include "actors/link/mesh_hello.hpp"
#include "actors/node/masters_watch.hpp"
#include "actors/node/route_keeper.hpp"
#include "actors/proxy/dns_actor.hpp"
#include "actors/proxy/proxy_actor.hpp"

#include <caf/all.hpp>

#include <filesystem>
#include <unistd.h>

namespace troupe::node {

namespace fs = std::filesystem;

result<void> worker_part::open_host() {
  if (::geteuid() != 0)
    return errors::bad_request("a worker makes namespaces, mounts and network rules, which needs root; "
                               "run troupe up as root (sudo troupe up)");
  const auto& layout = base_.layout;
  std::error_code ec;
  fs::create_directories(layout.containers_dir, ec);
  if (!ec) fs::create_directories(layout.run_dir, ec);
  if (ec) return errors::bad_request("cannot make " + layout.containers_dir + ": " + ec.message());
  images_ = runtime::make_image_store(layout.containers_dir);
  engine_ = runtime::make_linux_engine({layout.containers_dir, layout.run_dir, layout.cgroup}, images_);
  return engine_->check_host();
}

result<void> worker_part::open_network(const std::string& pod_cidr) {
  pod_cidr_ = pod_cidr;
  net::pod_network_config wires;
  wires.bridge = base_.layout.bridge;
  wires.pod_cidr = pod_cidr;
  wires.cluster_cidr = base_.cluster.pod_cidr;
  wires.service_cidr = base_.cluster.service_cidr;
  wires.state_file = base_.layout.node_dir + "/addresses.json";
  wires.chain_prefix = "TROUPE-" + base_.cluster.id;
  network_ = net::make_bridge_network(wires);
  return network_->up();
}

result<void> worker_part::open_link() {
  auto tls = link::make_session_tls(base_.keys->ca_pem, base_.keys->node);
  if (!tls) return tls.error();
  link::cluster_link_options o;
  o.tls = std::move(*tls);
  o.node_name = base_.self().name;
  o.cluster_id = base_.cluster.id;
  for (const auto& n : base_.options.cluster.nodes)
    if (n.master) o.masters.push_back({n.name, address_of(base_.cluster, n), n.ports.actors});
  o.board = base_.board;
  o.is_master = [](const identity& peer, const std::string& name) { return is_master(peer, name); };
  auto made = link::spawn_cluster_link(*base_.system, std::move(o));
  if (!made) return made.error();
  link_ = std::move(*made);
  if (!base_.await(link_.ready, "a master that answers this node"))
    return errors::unavailable("stopped while starting");
  return {};
}

void worker_part::on_start_over(std::function<void()> tell) const {
  if (link_.link) link_.link->on_start_over(std::move(tell));
}

component_env worker_part::env(identity who) const {
  return base_.env({link_.api, link_.state, link_.hub}, std::move(who));
}

component_env worker_part::kubelet_env(const env_source& env) const {
  return env(component_identity("system:node:" + base_.self().name, {"system:nodes"}));
}

std::vector<child_spec> worker_part::components(env_source env, announce_kubelet announce) {
  std::vector<child_spec> out;
  if (base_.can_grow())
    out.push_back({"routes", restart_rule::always, [this, env] {
                     return spawn_route_keeper(*base_.system, kubelet_env(env), base_.cluster.pod_cidr,
                                               base_.in_namespace() ? base_.cluster.node_cidr : std::string{});
                   }});
  out.push_back(proxy(env));
  out.push_back(dns(env));
  out.push_back(kubelet(env, std::move(announce)));
  return out;
}

child_spec worker_part::proxy(env_source env) const {
  return {"proxy", restart_rule::always, [this, env] {
            proxy_options o;
            o.cluster_id = base_.cluster.id;
            o.cluster_cidr = base_.cluster.pod_cidr;
            o.service_cidr = base_.cluster.service_cidr;
            o.mode = base_.options.cluster.network.service_mode;
            o.health_port = base_.self().ports.proxy_health;
            return spawn_proxy(*base_.system, env(component_identity("system:kube-proxy")), std::move(o));
          }};
}

child_spec worker_part::dns(env_source env) const {
  return {"dns", restart_rule::always, [this, env] {
            dns_options o;
            o.domain = base_.options.cluster.network.cluster_domain;
            o.listen_address = network_->gateway();
            o.cluster_cidr = base_.cluster.pod_cidr;
            o.service_address = dns_service_address(base_.cluster.service_cidr);
            return spawn_dns(*base_.system, env(component_identity("system:troupe-dns")), std::move(o));
          }};
}

child_spec worker_part::kubelet(env_source env, announce_kubelet announce) const {
  return {"kubelet", restart_rule::always, [this, env, announce] {
            const auto& self = base_.self();
            kubelet_options o;
            o.env = kubelet_env(env);
            o.engine = engine_;
            o.images = images_;
            o.network = network_;
            o.node_name = self.name;
            o.data_dir = base_.layout.node_dir;
            o.host_ip = base_.address;
            o.pod_cidr = pod_cidr_;
            o.cluster_dns = dns_service_address(base_.cluster.service_cidr);
            o.cluster_domain = base_.options.cluster.network.cluster_domain;
            o.labels = self.labels;
            if (self.master) o.labels["node-role.kubernetes.io/control-plane"] = "";
            o.max_pods = static_cast<int>(self.pods_max);
            auto door = spawn_kubelet(*base_.system, std::move(o));
            if (announce) announce(door);
            if (link_.link) link_.link->serve(door);
            return caf::actor_cast<caf::actor>(door);
          }};
}

void worker_part::stop() {
  if (link_.link) link_.link->stop();
  link_ = {};
  network_.reset();
  engine_.reset();
  images_.reset();
}

} // namespace troupe::node
