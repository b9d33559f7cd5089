#include "tests/unit/link/mesh_lab.hpp"

#include "actors/support/scheduling.hpp"

#include <caf/exit_reason.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include <poll.h>
#include <unistd.h>

namespace troupe::test {

namespace {

raft_actor::behavior_type inbox_of(std::shared_ptr<parcel_box> box) {
  return {
      [](const propose_ptr&, const txn_sink_actor&) {},
      [box](const raft::parcel_ptr& p) { box->put(p); },
      [](const member_command_ptr&) { return std::make_shared<const status>(status::none()); },
      [](get_state_copy) { return state_copy_ptr{}; },
      [](get_raft_status) { return std::string{}; },
      [](flush_and_stop) { return true; },
  };
}

} // namespace

mesh_config::mesh_config(basp_timing timing) {
  configure_scheduler(*this, 1);
  configure_middleman(*this, timing);
}

const tls::pki& lab_pki() {
  // A process that is started by a test shares the authority of the test.
  static const char* given = std::getenv("TROUPE_MESH_PKI");
  static const struct made_pki {
    std::string dir =
        given ? given
              : (std::filesystem::temp_directory_path() / ("troupe-mesh-test-" + std::to_string(::getpid()))).string();
    std::shared_ptr<const tls::pki> pki = tls::open_pki({.dir = dir, .node_name = "m1"}).value();
    ~made_pki() {
      if (!given) std::filesystem::remove_all(dir);
    }
  } made;
  return *made.pki;
}

std::string lab_cluster() { return "c0ffee"; }

void parcel_box::put(raft::parcel_ptr p) {
  if (also) also(*p);
  std::lock_guard lock(mutex_);
  got_.push_back(std::move(p));
  came_.notify_all();
}

std::size_t parcel_box::size() const {
  std::lock_guard lock(mutex_);
  return got_.size();
}

raft::parcel_ptr parcel_box::at(std::size_t i) const {
  std::lock_guard lock(mutex_);
  return got_.at(i);
}

bool parcel_box::wait_for(std::size_t count, std::chrono::seconds limit) const {
  std::unique_lock lock(mutex_);
  return came_.wait_for(lock, limit, [&] { return got_.size() >= count; });
}

lab_master::lab_master(std::uint64_t m, const std::function<void(mesh_options&)>& tweak, basp_timing timing)
    : member(m), name("m" + std::to_string(m)), config(timing), system(std::make_unique<caf::actor_system>(config)) {
  mesh_options o;
  o.system = system.get();
  o.self = store::member_id{m};
  o.name = name;
  o.cluster_id = lab_cluster();
  o.address = "127.0.0.1";
  o.ca_pem = lab_pki().ca_pem;
  o.own = tls::issue_master(lab_pki(), name).value();
  if (tweak) tweak(o);
  name = o.name;
  auto made = make_master_mesh(std::move(o));
  REQUIRE_MESSAGE(made.has_value(), made.error().message);
  mesh = *made;
  inbox = system->spawn([b = box] { return inbox_of(b); });
  mesh->deliver_to(inbox);
}

lab_master::~lab_master() {
  mesh->stop();
  mesh.reset();
  caf::anon_send_exit(inbox, caf::exit_reason::user_shutdown);
  inbox = nullptr;
  system.reset();
}

mesh_peer lab_master::address() const { return {store::member_id{member}, name, "127.0.0.1", mesh->port()}; }

void lab_master::start(const std::vector<mesh_peer>& peers) {
  mesh->set_peers(peers);
  auto r = mesh->start();
  REQUIRE(r.has_value());
}

void lab_master::send(std::uint64_t to, std::string payload, std::uint64_t term) {
  mesh->send(parcel_of(member, to, std::move(payload), term));
}

mesh_peer_status lab_master::status(std::uint64_t of) const {
  for (auto& s : mesh->peers())
    if (s.at.member.v == of) return s;
  return {};
}

bool lab_master::wait_linked(std::uint64_t to, bool linked, std::chrono::seconds limit) const {
  return eventually([&] { return status(to).connected == linked; }, limit);
}

bool lab_master::wait_error(std::uint64_t of, const std::string& part) const {
  return eventually([&] { return status(of).last_error.find(part) != std::string::npos; });
}

raft::parcel_ptr parcel_of(std::uint64_t from, std::uint64_t to, std::string payload, std::uint64_t term) {
  auto p = std::make_shared<raft::parcel>();
  p->from = raft::member_id{from};
  p->to = raft::member_id{to};
  raft::append_request a;
  a.prev = {raft::log_index{term}, raft::log_term{1}};
  a.entries.push_back({raft::log_index{term + 1}, raft::log_term{term}, raft::entry_kind::change,
                       std::make_shared<const std::string>(std::move(payload))});
  p->messages.push_back({p->from, p->to, raft::log_term{term}, std::move(a)});
  return p;
}

std::string payload_of(const raft::parcel& p) {
  return *std::get<raft::append_request>(p.messages.at(0).body).entries.at(0).payload;
}

bool link_all(const std::vector<lab_master*>& masters) {
  std::vector<mesh_peer> all;
  for (const auto* m : masters)
    all.push_back(m->address());
  for (auto* m : masters)
    m->start(all);
  for (const auto* m : masters)
    for (const auto* other : masters)
      if (m != other && !m->wait_linked(other->member)) return false;
  return true;
}

bool eventually(const std::function<bool()>& holds, std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, 2);
  }
  return true;
}

} // namespace troupe::test
