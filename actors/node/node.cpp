#include "actors/node/node.hpp"

#include "actors/apiserver/apiserver.hpp"
#include "actors/controllers/controllers.hpp"
#include "actors/kubelet/kubelet.hpp"
#include "actors/node/cluster_identity.hpp"
#include "actors/node/own_paths.hpp"
#include "actors/node/supervisor.hpp"
#include "actors/proxy/dns_actor.hpp"
#include "actors/proxy/proxy_actor.hpp"
#include "actors/raft/raft_actor.hpp"
#include "actors/scheduler/scheduler.hpp"
#include "net/pod/network.hpp"
#include "net/tls/pki.hpp"
#include "runtime/engine.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <malloc.h>
#include <thread>
#include <unistd.h>

namespace troupe::node {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds raft_stop_patience{10};
/// The first objects are one small transaction; only a full or broken disk delays them this long.
constexpr std::chrono::seconds bootstrap_patience{20};

/// CAF settings that every node states explicitly (field guide, section 0).
struct system_config : caf::actor_system_config {
  system_config() {
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", std::max<std::size_t>(2, std::thread::hardware_concurrency()));
    set("scheduler.max-throughput", std::size_t{100});
  }
};

identity component(std::string user, std::vector<std::string> groups = {}) {
  identity who;
  who.user = std::move(user);
  who.groups = std::move(groups);
  who.groups.push_back("system:authenticated");
  return who;
}

/// Glibc keeps an arena per thread, each of which keeps what it once held; a few shared ones keep the process small.
/// A list's body is megabytes: mapped and unmapped each time, its page faults cost as much as its encryption. The
/// raft actor gives back what stays free when it compacts.
void tune_memory() {
  constexpr int kept_bytes_max = 16 << 20;
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, kept_bytes_max);
  mallopt(M_TRIM_THRESHOLD, kept_bytes_max);
}

struct live_node final : running_node {
  explicit live_node(node_options o) : options(std::move(o)) {}
  ~live_node() override { stop(); }

  node_options options;
  cluster_identity cluster;
  node_layout layout;
  std::string node_ip;
  std::shared_ptr<const tls::pki> keys;
  std::shared_ptr<spdlog::logger> log = component_log("node");

  system_config config;
  std::unique_ptr<caf::actor_system> system;
  std::shared_ptr<actor_board> board = std::make_shared<actor_board>();
  raft_handles raft;
  api_handles api;
  std::shared_ptr<node_directory> doors = std::make_shared<node_directory>();
  std::shared_ptr<runtime::image_store> images;
  std::shared_ptr<runtime::engine> engine;
  std::shared_ptr<net::pod_network> network;
  caf::actor supervisor;
  std::atomic<bool> stopped{false};

  result<void> start();
  result<void> open_worker();
  result<void> open_keys();
  result<void> open_store();
  result<void> open_api();
  void spawn_components();
  component_env env_for(identity who) const;
  void stop() override;
  std::uint16_t api_port() const override { return api.port; }
  std::string kubeconfig_path() const override { return options.data_dir + "/admin.kubeconfig"; }
};

component_env live_node::env_for(identity who) const {
  component_env env;
  env.api = api.api;
  env.state = raft.state;
  env.hub = raft.hub;
  env.board = board;
  env.who = std::move(who);
  env.node_name = options.self.name;
  return env;
}

result<void> live_node::open_worker() {
  if (::geteuid() != 0)
    return errors::bad_request("a worker makes namespaces, mounts and network rules, which needs root; "
                               "run troupe up as root (sudo troupe up)");
  std::error_code ec;
  fs::create_directories(layout.containers_dir, ec);
  if (!ec) fs::create_directories(layout.run_dir, ec);
  if (ec) return errors::bad_request("cannot make " + layout.containers_dir + ": " + ec.message());
  images = runtime::make_image_store(layout.containers_dir);
  engine = runtime::make_linux_engine({layout.containers_dir, layout.run_dir, layout.cgroup}, images);
  if (auto host = engine->check_host(); !host) return host.error();
  net::pod_network_config wires;
  wires.bridge = layout.bridge;
  wires.pod_cidr = cluster.pod_cidr;
  wires.cluster_cidr = cluster.pod_cidr;
  wires.service_cidr = cluster.service_cidr;
  wires.state_file = layout.node_dir + "/addresses.json";
  wires.chain_prefix = "TROUPE-" + cluster.id;
  network = net::make_bridge_network(wires);
  return network->up();
}

result<void> live_node::open_keys() {
  tls::pki_options o;
  o.dir = options.data_dir + "/pki";
  o.node_name = options.self.name;
  o.names = {options.self.name, "kubernetes.default.svc." + options.cluster.network.cluster_domain};
  o.addresses = {address_at(cluster.service_cidr, 1), node_ip};
  if (network) o.addresses.push_back(network->gateway());
  if (options.self.listen != "0.0.0.0") o.addresses.push_back(options.self.listen);
  auto made = tls::open_pki(o);
  if (!made) return made.error();
  keys = *made;
  return {};
}

result<void> live_node::open_store() {
  raft_options o;
  o.data_dir = layout.node_dir + "/store";
  o.board = board;
  o.cluster_id = cluster.id;
  auto opened = spawn_raft(*system, o);
  if (!opened) return opened.error();
  raft = std::move(*opened);
  return {};
}

result<void> live_node::open_api() {
  api_options o;
  o.listen_address = options.self.listen;
  o.port = options.self.ports.api;
  o.advertise_address = node_ip;
  o.node_name = options.self.name;
  o.service_cidr = cluster.service_cidr;
  o.node_port_first = options.cluster.network.node_port_first;
  o.node_port_last = options.cluster.network.node_port_last;
  o.cluster_domain = options.cluster.network.cluster_domain;
  o.pki = keys;
  o.raft = raft.raft;
  o.state = raft.state;
  o.hub = raft.hub;
  o.nodes = doors;
  o.board = board;
  o.more_metrics = [b = board] { return actor_metrics(*b); };
  o.own_paths = make_own_paths(*system, {board, images, raft.raft});
  auto bootstrapped = std::make_shared<std::promise<void>>();
  o.on_ready = [bootstrapped] { bootstrapped->set_value(); };
  auto opened = spawn_apiserver(*system, std::move(o));
  if (!opened) return opened.error();
  api = std::move(*opened);
  if (bootstrapped->get_future().wait_for(bootstrap_patience) != std::future_status::ready)
    return errors::bad_request("the store did not take the first objects within " +
                               std::to_string(bootstrap_patience.count()) + " s; is the disk below " +
                               options.data_dir + " full or broken?");
  const auto host = options.self.listen == "0.0.0.0" ? std::string{"127.0.0.1"} : options.self.listen;
  const auto text = tls::kubeconfig("https://" + host + ":" + std::to_string(api.port), keys->ca_pem, keys->admin,
                                    options.cluster.name);
  for (const auto& dir : {options.data_dir, layout.node_dir})
    if (auto w = tls::write_private_file(dir + "/admin.kubeconfig", text); !w) return w.error();
  return {};
}

void live_node::spawn_components() {
  std::vector<child_spec> children;
  children.push_back({"raft", restart_rule::fatal, [this] { return caf::actor_cast<caf::actor>(raft.raft); }, true});
  children.push_back({"api", restart_rule::fatal, [this] { return caf::actor_cast<caf::actor>(api.api); }, true});
  children.push_back({"controllers", restart_rule::always, [this] {
                        controller_options o;
                        o.env = env_for(component("system:kube-controller-manager"));
                        o.ca_pem = keys->ca_pem;
                        return spawn_controllers(*system, std::move(o));
                      }});
  children.push_back({"scheduler", restart_rule::always, [this] {
                        scheduler_options o;
                        o.env = env_for(component("system:kube-scheduler"));
                        return spawn_scheduler(*system, std::move(o));
                      }});
  children.push_back({"proxy", restart_rule::always, [this] {
                        proxy_options o;
                        o.cluster_id = cluster.id;
                        o.cluster_cidr = cluster.pod_cidr;
                        o.service_cidr = cluster.service_cidr;
                        o.mode = options.cluster.network.service_mode;
                        o.health_port = options.self.ports.proxy_health;
                        return spawn_proxy(*system, env_for(component("system:kube-proxy")), std::move(o));
                      }});
  children.push_back({"dns", restart_rule::always, [this] {
                        dns_options o;
                        o.domain = options.cluster.network.cluster_domain;
                        o.listen_address = network->gateway();
                        o.cluster_cidr = cluster.pod_cidr;
                        o.service_address = dns_service_address(cluster.service_cidr);
                        return spawn_dns(*system, env_for(component("system:troupe-dns")), std::move(o));
                      }});
  children.push_back({"kubelet", restart_rule::always, [this] {
                        kubelet_options o;
                        o.env = env_for(component("system:node:" + options.self.name, {"system:nodes"}));
                        o.engine = engine;
                        o.images = images;
                        o.network = network;
                        o.node_name = options.self.name;
                        o.data_dir = layout.node_dir;
                        o.host_ip = node_ip;
                        o.pod_cidr = cluster.pod_cidr;
                        o.cluster_dns = dns_service_address(cluster.service_cidr);
                        o.cluster_domain = options.cluster.network.cluster_domain;
                        o.labels = options.self.labels;
                        if (options.self.master) o.labels["node-role.kubernetes.io/control-plane"] = "";
                        o.max_pods = static_cast<int>(options.self.pods_max);
                        auto door = spawn_kubelet(*system, std::move(o));
                        doors->enter(options.self.name, door);
                        return caf::actor_cast<caf::actor>(door);
                      }});
  supervisor = spawn_supervisor(*system, board, std::move(children), [l = log](std::string why) {
    l->critical("node goes down: {}", why);
    l->flush();
    std::_Exit(1);
  });
}

result<void> live_node::start() {
  tune_memory();
  auto known = open_identity(options.data_dir, options.cluster);
  if (!known) return known.error();
  cluster = *known;
  layout = layout_of(options.data_dir, options.self.name, cluster);
  std::error_code ec;
  fs::create_directories(layout.node_dir, ec);
  if (ec) return errors::bad_request("cannot make " + layout.node_dir + ": " + ec.message());
  if (options.self.worker)
    if (auto r = open_worker(); !r) return r;
  node_ip = net::host_address();
  // A host without any network of its own: pods still reach it over the bridge.
  if (node_ip.starts_with("127.") && network) node_ip = network->gateway();
  if (auto r = open_keys(); !r) return r;
  system = std::make_unique<caf::actor_system>(config);
  if (auto r = open_store(); !r) return r;
  if (auto r = open_api(); !r) return r;
  spawn_components();
  return {};
}

void live_node::stop() {
  if (stopped.exchange(true) || !system) return;
  {
    caf::scoped_actor self{*system};
    // Components first: they still write through the API, and the API through the store.
    if (supervisor)
      self->request(supervisor, caf::infinite, stop_children::value).receive([](bool) {}, [](caf::error&) {});
    supervisor = nullptr;
    doors->clear();
    if (api.server) api.server->stop();
    if (raft.raft) {
      self->request(raft.raft, raft_stop_patience, flush_and_stop::value)
          .receive(
              [](bool) {},
              [&](caf::error& e) { log->error("the store did not confirm its last sync: {}", system->render(e)); });
      self->send_exit(raft.raft, caf::exit_reason::user_shutdown);
    }
  }
  api = {};
  raft = {};
  system.reset();
  network.reset();
  engine.reset();
  log->info("stopped");
}

} // namespace

result<std::unique_ptr<running_node>> start_node(const node_options& options) {
  auto node = std::make_unique<live_node>(options);
  if (auto r = node->start(); !r) {
    node->stop();
    return r.error();
  }
  return std::unique_ptr<running_node>{std::move(node)};
}

} // namespace troupe::node
