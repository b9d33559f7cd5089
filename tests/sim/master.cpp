#include "tests/sim/master.hpp"

#include "actors/apiserver/api_actor.hpp"
#include "actors/controllers/controllers.hpp"
#include "actors/node/leader_duties.hpp"
#include "actors/scheduler/scheduler.hpp"
#include "tests/sim/cluster.hpp"

#include <caf/actor_system.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <stdexcept>

namespace troupe::sim {

namespace {

identity component(std::string user) {
  identity who;
  who.user = std::move(user);
  who.groups = {"system:authenticated"};
  return who;
}

} // namespace

master::master(cluster& c, member_id id, std::vector<member_id> founders)
    : cluster_(c), id_(id), founders_(std::move(founders)) {
  disk = platter::make("sim", {founders_, {}, {}, {}, false});
  clock->from = c.w.now();
}

component_env master::env(identity who) const {
  component_env e;
  e.api = api_;
  e.state = raft_.state;
  e.hub = raft_.hub;
  e.board = board_;
  e.who = std::move(who);
  e.node_name = "m" + std::to_string(id_.v);
  return e;
}

std::shared_ptr<sim_disk> master::open_disk() {
  disk_watcher watch;
  auto seen = observer_;
  watch.recovered = [seen, d = disk](const store::recovered_state& s) { seen->recovered(s, *d); };
  watch.written = [this, seen](const store::write_group& g) {
    if (const auto writer = cluster_.w.running(); g.append.size() + g.changes.size() > 0 && writer != 0)
      cluster_.w.delay(place_, writer, [d = door_] { return d->latency(); });
    seen->written(g);
  };
  watch.crash = [this] {
    cluster_.r.fault_began("disk takes " + std::to_string(id_.v) + " down");
    crash();
  };
  const auto salt = cluster_.mixed_seed(id_.v, life_);
  return std::make_shared<sim_disk>(disk, chance(salt, "disk"), std::move(watch));
}

void master::open_raft() {
  auto& w = cluster_.w;
  raft_options o;
  o.cluster_id = "sim";
  o.member = id_;
  o.founders = founders_;
  o.joining = founders_.empty();
  o.transport = cluster_.net.connect(id_);
  o.timing = cluster_.form.timing;
  if (cluster_.form.small_limits) {
    o.log_entries_max = 64;
    o.window_events_max = 48;
  }
  o.seed = cluster_.mixed_seed(id_.v, life_);
  o.board = board_;
  o.disk = door_ = open_disk();
  o.threads = false;
  o.my_clock = [c = clock](raft::instant real) { return c->at(real); };
  o.on_applied = [seen = observer_](const store::log_entry& e, std::span<const store::change_record> changes,
                                    store::revision rev) { seen->applied(e, changes, rev); };
  o.on_installed = [seen = observer_](const store::applied_mark& at, const store::state_view& v) {
    seen->installed(at, v);
  };
  auto opened = spawn_raft(w.system(), std::move(o));
  if (!opened) throw std::runtime_error("member " + std::to_string(id_.v) + ": " + opened.error().message);
  raft_ = std::move(*opened);
  subscribed_ = raft_.group->subscribe([seen = observer_](const group_status& s) { seen->said(s); });
}

void master::open_api() {
  auto s = std::make_shared<apiserver::services>();
  s->options.pki = cluster_.keys;
  s->options.raft = raft_.raft;
  s->options.state = raft_.state;
  s->options.hub = raft_.hub;
  s->options.group = raft_.group;
  s->options.node_name = "m" + std::to_string(id_.v);
  s->service_ips = *apiserver::ip_range::parse("10.96.0.0/16");
  s->rbac = std::make_shared<apiserver::rbac_index>(raft_.state, raft_.hub);
  s->pins = std::make_shared<apiserver::view_pins>();
  s->server_address = "10.0.0.1:6443";
  s->seed = cluster_.mixed_seed(1000 + id_.v, life_);
  services_ = std::move(s);
  api_ = apiserver::spawn_api_actor(cluster_.w.system(), services_, 0);
}

void master::open_duties() {
  auto& sys = cluster_.w.system();
  std::vector<node::duty> duties;
  duties.push_back({"controllers", [this, &sys](std::uint64_t term) {
                      controller_options o;
                      o.env = env(component("system:kube-controller-manager"));
                      o.env.fence_term = term;
                      o.ca_pem = cluster_.keys->ca_pem;
                      o.seed = cluster_.mixed_seed(2000 + id_.v, term);
                      return spawn_controllers(sys, std::move(o));
                    }});
  duties.push_back({"scheduler", [this, &sys](std::uint64_t term) {
                      scheduler_options o;
                      o.env = env(component("system:kube-scheduler"));
                      o.env.fence_term = term;
                      o.seed = cluster_.mixed_seed(3000 + id_.v, term);
                      return spawn_scheduler(sys, std::move(o));
                    }});
  duties_ = node::spawn_leader_duties(sys, raft_.group, std::move(duties), board_);
}

void master::start() {
  if (up_) return;
  ++life_;
  up_ = true;
  paused_ = false;
  place_ = cluster_.w.open_place();
  board_ = std::make_shared<actor_board>();
  observer_ = std::make_shared<observer>(cluster_.r, cluster_.first, id_, life_);
  cluster_.w.inside(place_, [this] {
    open_raft();
    if (!cluster_.form.control_plane) return;
    open_api();
    open_duties();
  });
}

void master::crash() {
  if (!up_) return;
  up_ = paused_ = false;
  cluster_.r.stopped(id_, life_);
  door_->cut_off();
  cluster_.net.disconnect(id_);
  subscribed_.reset();
  cluster_.w.kill(place_);
  duties_ = nullptr;
  api_ = api_actor();
  services_.reset();
  raft_ = raft_handles();
  door_.reset();
  board_.reset();
}

void master::pause() {
  if (!up_ || paused_) return;
  paused_ = true;
  cluster_.w.pause(place_);
}

void master::resume() {
  if (!up_ || !paused_) return;
  paused_ = false;
  cluster_.w.resume(place_);
}

} // namespace troupe::sim
