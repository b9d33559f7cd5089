// mesh_lab: masters in one process: each an actor system with a mesh, over real TLS on loopback.
// Owner:  the test; destroyed in reverse order.
// Units:  waits end by the event, or fail after limits that no healthy machine reaches.
// Errors: -
// Source: ours.
#pragma once

#include "actors/link/master_mesh.hpp"
#include "net/tls/pki.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/send.hpp>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace troupe::test {

struct mesh_config : caf::actor_system_config {
  explicit mesh_config(basp_timing timing);
};

/// One CA for all tests of a program.
const tls::pki& lab_pki();
std::string lab_cluster();

/// What arrived at one master, in order.
class parcel_box {
public:
  void put(raft::parcel_ptr p);
  std::size_t size() const;
  raft::parcel_ptr at(std::size_t i) const;
  bool wait_for(std::size_t count, std::chrono::seconds limit = std::chrono::seconds(20)) const;
  std::function<void(const raft::parcel&)> also; // on the actor's thread; set before anything arrives

private:
  mutable std::mutex mutex_;
  mutable std::condition_variable came_;
  std::vector<raft::parcel_ptr> got_;
};

class lab_master {
public:
  /// Takes a port; links begin with `start`. `tweak` changes the options before.
  lab_master(std::uint64_t member, const std::function<void(mesh_options&)>& tweak = {}, basp_timing timing = {});
  ~lab_master();
  mesh_peer address() const; // as others must know it
  void start(const std::vector<mesh_peer>& peers);
  void send(std::uint64_t to, std::string payload, std::uint64_t term = 1);
  bool wait_linked(std::uint64_t to, bool linked = true, std::chrono::seconds limit = std::chrono::seconds(20)) const;
  mesh_peer_status status(std::uint64_t of) const;
  bool wait_error(std::uint64_t of, const std::string& part) const;

  std::uint64_t member;
  std::string name;
  mesh_config config;
  std::unique_ptr<caf::actor_system> system;
  std::shared_ptr<parcel_box> box = std::make_shared<parcel_box>();
  std::shared_ptr<master_mesh> mesh;
  raft_actor inbox;
};

/// A parcel with one append of one entry.
raft::parcel_ptr parcel_of(std::uint64_t from, std::uint64_t to, std::string payload, std::uint64_t term = 1);
std::string payload_of(const raft::parcel& p);
/// Starts all of them with each other's addresses and waits until every pair is linked.
bool link_all(const std::vector<lab_master*>& masters);
/// True when `holds` became true; looks again every few milliseconds.
bool eventually(const std::function<bool()>& holds, std::chrono::seconds limit = std::chrono::seconds(20));

} // namespace troupe::test
