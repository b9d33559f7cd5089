// mesh_keeper: keeps one gateway alive: spawns it, and again when it dies before its time.
// Owner:  master_mesh.
// Units:  -
// Errors: a gateway that dies is logged; its links are made anew through the next one.
// Source: ours; a peer of BASP can kill any actor that it has a handle of.
#pragma once

#include "actors/link/mesh_gateway.hpp"

#include <future>
#include <memory>
#include <mutex>

namespace troupe::mesh {

class gateway_keeper : public std::enable_shared_from_this<gateway_keeper> {
public:
  gateway_keeper(caf::actor_system& sys, std::shared_ptr<shared_parts> parts) : sys_(sys), parts_(std::move(parts)) {}
  void start() { spawn(); }
  /// Returns when the gateway has ended. Idempotent.
  void stop();
  caf::actor get() const; // null: there is none at the moment

private:
  void spawn();
  void ended();

  caf::actor_system& sys_;
  std::shared_ptr<shared_parts> parts_;
  mutable std::mutex mutex_;
  caf::actor now_;
  bool stopping_ = false;
  std::promise<void> gone_;
};

} // namespace troupe::mesh
