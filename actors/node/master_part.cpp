#include "actors/node/master_part.hpp"

#include "actors/controllers/controllers.hpp"
#include "actors/node/dir_lock.hpp"
#include "actors/node/leader_duties.hpp"
#include "actors/node/masters_watch.hpp"
#include "actors/node/member_identity.hpp"
#include "actors/node/own_paths.hpp"
#include "actors/raft/group_board.hpp"
#include "actors/scheduler/scheduler.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

namespace troupe::node {

namespace {

constexpr std::chrono::seconds raft_stop_patience{10};
constexpr std::chrono::seconds duties_stop_patience{20};
/// The first objects of a cluster of one are one small transaction; only a full or broken disk delays them this long.
constexpr std::chrono::seconds bootstrap_patience{20};
/// The id of whoever was made before members had directories that say theirs.
constexpr std::uint64_t first_member = 1;

/// Drawn at every start: election jitter and this life's write ids must differ from those of the last life.
std::uint64_t draw() {
  std::random_device rd;
  return (std::uint64_t{rd()} << 32) | rd();
}

} // namespace

component_env master_part::env(identity who) const {
  return base_.env({api_.api, raft_.state, raft_.hub}, std::move(who));
}

result<void> master_part::open(std::shared_ptr<runtime::image_store> images) {
  group_ = std::make_shared<group_board>();
  if (base_.can_grow())
    if (auto r = open_mesh(); !r) return r;
  if (auto r = open_store(); !r) return r;
  if (auto r = open_api(std::move(images)); !r) return r;
  if (base_.can_grow())
    if (auto r = open_sessions(); !r) return r;
  spawn_duties();
  return {};
}

result<void> master_part::open_mesh() {
  mesh_options o;
  o.system = base_.system;
  o.self = store::member_id{base_.options.member.member};
  o.name = base_.self().name;
  o.cluster_id = base_.cluster.id;
  o.store = base_.options.member.store;
  // A lone founder's address may change under it; whoever founded with others is where they look for it.
  const bool anywhere = base_.founded_alone() && base_.self().address.empty();
  o.address = anywhere ? base_.self().listen : base_.address;
  o.port = base_.self().ports.actors;
  o.ca_pem = base_.keys->ca_pem;
  o.own = base_.keys->master;
  o.peers = peers_of(base_.options.masters.empty() ? founding_rows(base_.options.cluster, base_.cluster)
                                                   : base_.options.masters,
                     o.name);
  auto made = make_master_mesh(std::move(o));
  if (!made) return made.error();
  mesh_ = std::move(*made);
  return {};
}

result<void> master_part::open_store() {
  raft_options o;
  o.data_dir = base_.layout.node_dir + "/store";
  o.board = base_.board;
  o.cluster_id = base_.cluster.id;
  o.group = group_;
  o.seed = draw();
  if (base_.can_grow()) {
    const auto& config = base_.options.cluster;
    o.member = store::member_id{base_.options.member.member};
    o.joining = !base_.options.member.founder;
    if (!o.joining)
      for (const auto& [name, id] : base_.cluster.founders)
        o.founders.push_back(store::member_id{id});
    o.transport = mesh_;
    o.timing.heartbeat_every = config.raft.heartbeat;
    o.timing.election_min = config.raft.election_timeout;
    o.timing.lease_reads = config.raft.lease_reads;
    o.timing.check_every = config.raft.check_every;
    for (const auto& row : founding_rows(config, base_.cluster))
      if (row.priority != 0) o.priorities[row.id] = row.priority;
  }
  auto opened = spawn_raft(*base_.system, std::move(o));
  if (!opened) return opened.error();
  raft_ = std::move(*opened);
  return base_.can_grow() ? note_begun() : result<void>{};
}

/// From here on the store must never be replaced by an empty one under the same id.
result<void> master_part::note_begun() {
  auto record = read_member(base_.layout.node_dir);
  if (!record) return record.error();
  if (!*record || (*record)->begun) return {};
  (*record)->begun = true;
  if (auto w = write_member(base_.layout.node_dir, **record); !w) return w;
  return mark_begun(base_.options.data_dir, base_.self().name);
}

result<void> master_part::open_api(std::shared_ptr<runtime::image_store> images) {
  const auto& options = base_.options;
  api_options o;
  o.listen_address = options.self.listen;
  o.port = options.self.ports.api;
  o.advertise_address = base_.address;
  o.node_name = options.self.name;
  o.service_cidr = base_.cluster.service_cidr;
  o.node_port_first = options.cluster.network.node_port_first;
  o.node_port_last = options.cluster.network.node_port_last;
  o.cluster_domain = options.cluster.network.cluster_domain;
  o.pki = base_.keys;
  o.raft = raft_.raft;
  o.state = raft_.state;
  o.hub = raft_.hub;
  o.nodes = doors_;
  o.board = base_.board;
  o.group = raft_.group;
  o.self = row_of(options.self, base_.address, base_.can_grow() ? options.member.member : first_member);
  o.founders = base_.can_grow() ? founding_rows(options.cluster, base_.cluster) : std::vector{o.self};
  o.more_metrics = [b = base_.board] { return actor_metrics(*b); };
  members_ = spawn_member_keeper(*base_.system, {raft_.raft, raft_.group, raft_.state, raft_.hub, base_.board,
                                                 growth_refusal(base_.cluster, options.self, options.data_dir)});
  o.own_paths = make_own_paths(*base_.system, {base_.board, std::move(images), raft_.raft, members_});
  auto ready = std::make_shared<std::promise<void>>();
  ready_ = ready->get_future().share();
  o.on_ready = [ready] { ready->set_value(); };
  auto opened = spawn_apiserver(*base_.system, std::move(o));
  if (!opened) return opened.error();
  api_ = std::move(*opened);
  return {};
}

result<void> master_part::open_sessions() {
  link::node_sessions_options o;
  o.cluster_id = base_.cluster.id;
  o.master_name = base_.self().name;
  o.api = {api_.api};
  o.state = raft_.state;
  o.hub = raft_.hub;
  o.group = raft_.group;
  o.nodes = doors_;
  o.board = base_.board;
  auto made = link::make_node_sessions(*base_.system, std::move(o));
  if (!made) return made.error();
  sessions_ = std::move(*made);
  mesh_->on_worker_session(
      [s = sessions_](link::session peer, std::string hello) { s->accept(std::move(peer), std::move(hello)); });
  if (base_.self().worker)
    if (auto r = open_kubelet_link(); !r) return r;
  spawn_masters_watch();
  return mesh_->start();
}

/// Masters speak with each other over the mesh, which carries no streams: the others reach our kubelet as a worker's.
result<void> master_part::open_kubelet_link() {
  auto tls = link::make_session_tls(base_.keys->ca_pem, base_.keys->node);
  if (!tls) return tls.error();
  link::kubelet_link_options o;
  o.tls = std::move(*tls);
  o.node_name = base_.self().name;
  o.cluster_id = base_.cluster.id;
  o.is_master = [](const identity& peer, const std::string& name) { return is_master(peer, name); };
  kubelet_link_ = std::make_shared<link::kubelet_link>(*base_.system, std::move(o));
  return {};
}

void master_part::serve(const kubelet_actor& door) {
  doors_->enter(base_.self().name, door);
  if (kubelet_link_) kubelet_link_->serve(door);
}

void master_part::spawn_masters_watch() {
  const auto fallback =
      base_.options.masters.empty() ? founding_rows(base_.options.cluster, base_.cluster) : base_.options.masters;
  masters_watch_ =
      spawn_masters_watch_actor(*base_.system, env(component_identity("system:troupe-masters")), fallback,
                                [mesh = mesh_, sessions = sessions_, kubelet = kubelet_link_, own = base_.self().name,
                                 dir = base_.options.data_dir, log = base_.log](const std::vector<master_row>& rows) {
                                  if (rows.size() > 1)
                                    if (auto noted = mark_grown(dir); !noted) log->warn("{}", noted.error().message);
                                  mesh->set_peers(peers_of(rows, own));
                                  sessions->set_masters(link_addresses_of(rows));
                                  if (kubelet) kubelet->set_masters(link_addresses_of(rows));
                                });
}

void master_part::spawn_duties() {
  std::vector<duty> duties;
  duties.push_back({"controllers", [this](std::uint64_t term) {
                      controller_options o;
                      o.env = env(component_identity("system:kube-controller-manager"));
                      o.env.fence_term = term;
                      o.ca_pem = base_.keys->ca_pem;
                      if (base_.can_grow()) {
                        o.node_cidr_range = base_.cluster.pod_cidr;
                        o.node_cidr_bits = node_pod_bits;
                      }
                      return spawn_controllers(*base_.system, std::move(o));
                    }});
  duties.push_back({"scheduler", [this](std::uint64_t term) {
                      scheduler_options o;
                      o.env = env(component_identity("system:kube-scheduler"));
                      o.env.fence_term = term;
                      return spawn_scheduler(*base_.system, std::move(o));
                    }});
  duties_ = spawn_leader_duties(*base_.system, raft_.group, std::move(duties), base_.board);
}

/// Other masters are needed before this one can serve.
bool master_part::has_others() const {
  if (!base_.can_grow()) return false;
  return !base_.options.member.founder || base_.cluster.founders.size() > 1 ||
         list_masters(*raft_.state->current()).size() > 1;
}

result<void> master_part::await_ready() {
  if (has_others()) {
    if (!base_.await(ready_, "a majority of the masters to elect a leader"))
      return errors::unavailable("stopped while starting");
  } else if (ready_.wait_for(bootstrap_patience) != std::future_status::ready) {
    return errors::bad_request("the store did not take the first objects within " +
                               std::to_string(bootstrap_patience.count()) + " s; is the disk below " +
                               base_.options.data_dir + " full or broken?");
  }
  return write_kubeconfigs();
}

result<void> master_part::write_kubeconfigs() const {
  const auto& options = base_.options;
  const auto url = [](const std::string& address, std::uint16_t port) {
    return "https://" + address + ":" + std::to_string(port);
  };
  const auto& keys = *base_.keys;
  const auto write = [&](const std::string& dir, const std::string& text) {
    return tls::write_private_file(dir + "/admin.kubeconfig", text);
  };
  if (options.cluster.nodes.size() == 1) {
    const auto host = options.self.listen == "0.0.0.0" ? std::string{"127.0.0.1"} : options.self.listen;
    const auto text = tls::kubeconfig(url(host, api_.port), keys.ca_pem, keys.admin, options.cluster.name);
    for (const auto& dir : {options.data_dir, base_.layout.node_dir})
      if (auto w = write(dir, text); !w) return w;
    return {};
  }
  const auto own = tls::kubeconfig(url(base_.address, api_.port), keys.ca_pem, keys.admin, options.cluster.name);
  if (auto w = write(base_.layout.node_dir, own); !w) return w;
  std::vector<tls::kube_server> servers;
  for (const auto& n : options.cluster.nodes)
    if (n.master) servers.push_back({n.name, url(address_of(base_.cluster, n), n.ports.api)});
  auto lock = dir_lock::take(options.data_dir);
  if (!lock) return lock.error();
  return write(options.data_dir, tls::kubeconfig(servers, keys.ca_pem, keys.admin, options.cluster.name));
}

std::vector<child_spec> master_part::watched() const {
  std::vector<child_spec> out;
  const auto watch = [&](const char* name, caf::actor who) {
    out.push_back({name, restart_rule::fatal, [who] { return who; }, true});
  };
  watch("raft", caf::actor_cast<caf::actor>(raft_.raft));
  watch("api", caf::actor_cast<caf::actor>(api_.api));
  watch("leader", duties_);
  watch("members", caf::actor_cast<caf::actor>(members_));
  return out;
}

void master_part::stop() {
  if (!base_.system) return;
  caf::scoped_actor self{*base_.system};
  // The leader's components first: they still write through the API, and the API through the store.
  if (duties_)
    self->request(duties_, duties_stop_patience, stop_duties::value).receive([](bool) {}, [](caf::error&) {});
  duties_ = nullptr;
  if (members_) self->send_exit(members_, caf::exit_reason::user_shutdown);
  members_ = nullptr;
  if (masters_watch_) self->send_exit(masters_watch_, caf::exit_reason::user_shutdown);
  masters_watch_ = nullptr;
  if (kubelet_link_) kubelet_link_->stop();
  if (sessions_) sessions_->stop();
  doors_->clear();
  if (api_.server) api_.server->stop();
  if (raft_.raft) {
    self->request(raft_.raft, raft_stop_patience, flush_and_stop::value)
        .receive([](bool) {},
                 [&](caf::error& e) {
                   base_.log->error("the store did not confirm its last sync: {}", base_.system->render(e));
                 });
    self->send_exit(raft_.raft, caf::exit_reason::user_shutdown);
  }
  api_ = {};
  raft_ = {};
  if (mesh_) mesh_->stop();
  kubelet_link_.reset();
  sessions_.reset();
  mesh_.reset();
  group_.reset();
}

} // namespace troupe::node
