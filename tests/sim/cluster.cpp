#include "tests/sim/cluster.hpp"

#include "actors/apiserver/bootstrap.hpp"
#include "actors/kubelet/kubelet.hpp"
#include "actors/support/clock.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace troupe::sim {

namespace {
constexpr std::chrono::seconds command_patience{20};
} // namespace

cluster::cluster(world& world, recorder& rec, shape s)
    : w(world), r(rec), form(s), net(world, rec, s.seed), random_(s.seed, "cluster") {
  w.add(&net);
  auto made = std::make_shared<tls::pki>();
  made->ca_pem = "simulated";
  keys = made;
  sink_ = w.system().spawn([this]() -> txn_sink_actor::behavior_type {
    return {[this](const txns_done_ptr& done) {
      for (auto& [ticket, result] : done->items) {
        const auto it = waiting_.find(ticket);
        if (it == waiting_.end()) continue;
        const auto fn = std::move(it->second);
        waiting_.erase(it);
        fn(result);
      }
    }};
  });
  std::vector<member_id> founders;
  for (unsigned i = 1; i <= form.masters; ++i)
    founders.emplace_back(i);
  for (const auto id : founders)
    masters.push_back(std::make_unique<master>(*this, id, founders));
  for (unsigned i = 1; form.control_plane && i <= form.workers; ++i) {
    worker n;
    n.name = "w" + std::to_string(i);
    n.number = i;
    n.engine = runtime::make_hollow_engine(wall_clock_of(n));
    workers.push_back(std::move(n));
  }
}

std::function<std::chrono::system_clock::time_point()> cluster::wall_clock_of(const worker& n) {
  return [this, off = n.wall_off] {
    return std::chrono::system_clock::time_point(wall_now(w.system().clock())) +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(*off);
  };
}

cluster::~cluster() {
  for (auto& n : workers)
    stop_worker(n);
  for (auto& m : masters)
    m->crash();
  waiting_.clear();
}

std::uint64_t cluster::mixed_seed(std::uint64_t a, std::uint64_t b) const {
  chance c(form.seed ^ (a * 0x9e3779b97f4a7c15ull) ^ (b * 0xc2b2ae3d27d4eb4full), "mixed");
  return c.next() | 1;
}

void cluster::start() {
  for (auto& m : masters)
    m->start();
}

master& cluster::add_joining() {
  const member_id id{masters.back()->id().v + 1};
  masters.push_back(std::make_unique<master>(*this, id, std::vector<member_id>{}));
  masters.back()->start();
  return *masters.back();
}

master* cluster::find(member_id id) {
  for (auto& m : masters)
    if (m->id() == id) return m.get();
  return nullptr;
}

master* cluster::leader() {
  master* best = nullptr;
  for (auto& m : masters)
    if (m->up() && !m->paused() && m->status().serving && (!best || m->status().term > best->status().term))
      best = m.get();
  return best;
}

std::vector<master*> cluster::running() {
  std::vector<master*> out;
  for (auto& m : masters)
    if (m->up()) out.push_back(m.get());
  return out;
}

master* cluster::any(chance& random) {
  auto all = running();
  return all.empty() ? nullptr : random.pick(all);
}

void cluster::propose(master& m, store::txn change, std::function<void(store::txn_result&)> done) {
  auto p = std::make_shared<::troupe::propose>();
  p->ticket = ++next_ticket_;
  p->change = std::move(change);
  waiting_.emplace(p->ticket, std::move(done));
  caf::anon_send(m.raft().raft, std::move(p), sink_);
}

void cluster::call(master& m, request_ptr what, std::function<void(const response_ptr&)> done) {
  ++r.sums.api_calls;
  auto c = std::make_shared<api_call>();
  c->req = std::move(what);
  c->done = std::move(done);
  caf::anon_send(m.api(), api_call_ptr(std::move(c)));
}

void cluster::command(master& m, member_command what, std::function<void(const status&)> done) {
  auto c = std::make_shared<const member_command>(what);
  w.system().spawn([target = m.raft().raft, c, done = std::move(done)](caf::event_based_actor* self) {
    self->request(target, command_patience, member_command_ptr(c))
        .then([done](const status_ptr& s) { done(*s); },
              [done](caf::error&) { done(errors::timeout("the member did not answer")); });
  });
}

// ---------------------------------------------------------------- workers

void cluster::start_worker(worker& n, master& m) {
  n.where = w.open_place();
  n.up = true;
  n.attached = m.id();
  n.attached_life = m.life();
  w.inside(n.where, [&] {
    identity who;
    who.user = "system:node:" + n.name;
    who.groups = {"system:nodes", "system:authenticated"};
    kubelet_options o;
    o.env = m.env(std::move(who));
    o.env.board = std::make_shared<actor_board>();
    o.env.node_name = n.name;
    o.engine = n.engine;
    o.node_name = n.name;
    o.data_dir = "/nonexistent/simulated";
    o.host_ip = "10.0.1." + std::to_string(n.number);
    o.pod_cidr = "10.244." + std::to_string(n.number) + ".0/24";
    o.hollow = true;
    o.worker_threads = 0;
    o.wall_clock = wall_clock_of(n);
    n.kubelet = caf::actor_cast<caf::actor>(spawn_kubelet(w.system(), std::move(o)));
  });
}

void cluster::stop_worker(worker& n) {
  if (!n.up) return;
  n.up = false;
  n.kubelet = nullptr;
  n.engine->on_exit([](const runtime::container_info&) {});
  w.kill(n.where);
}

void cluster::tend_workers() {
  for (auto& n : workers) {
    const auto* at = n.up ? find(n.attached) : nullptr;
    if (at && at->up() && at->life() == n.attached_life) continue;
    stop_worker(n);
    std::vector<master*> good;
    for (auto* m : running())
      if (!m->paused() && bootstrapped_) good.push_back(m);
    if (!good.empty()) start_worker(n, *random_.pick(good));
  }
}

// ---------------------------------------------------------------- first objects

bool cluster::bootstrap() {
  if (bootstrapped_ || bootstrapping_) return bootstrapped_;
  auto* m = leader();
  if (!m) return false;
  if (!form.control_plane) return bootstrapped_ = true;
  random_source random(mixed_seed(7, next_ticket_));
  auto plan = apiserver::plan_bootstrap(*m->services(), *m->view(), wall_now(w.system().clock()), random);
  if (!plan) return false;
  if (plan->empty()) return bootstrapped_ = true;
  bootstrapping_ = true;
  bootstrap_open_ = plan->size();
  for (auto& t : *plan)
    propose(*m, std::move(t), [this](store::txn_result&) {
      if (--bootstrap_open_ == 0) bootstrapping_ = false;
    });
  return false;
}

} // namespace troupe::sim
