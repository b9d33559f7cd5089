// master: one simulated process of the control plane: raft actor, api actors, leader duties; it can die and come back.
// Owner:  the cluster. Its actors live in a place of the world that ends with each life.
// Units:  -
// Errors: a start that the product refuses ends the run with its sentence.
// Source: actors/node/node.cpp, without HTTP, TLS and disks.
#pragma once

#include "actors/apiserver/services.hpp"
#include "actors/raft/raft_actor.hpp"
#include "actors/support/component.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/observer.hpp"

#include <caf/actor.hpp>

#include <memory>
#include <string>

namespace troupe::sim {

class cluster;

/// What a member's steady clock says: continuous but for steps, at a rate near 1.
struct drifting_clock {
  instant from{0}, shown{0}; // at the true instant `from` it showed `shown`
  double rate = 1;
  instant at(instant real) const {
    return shown + instant(static_cast<std::int64_t>(static_cast<double>((real - from).count()) * rate));
  }
  void change(instant real, double new_rate, instant step) {
    shown = at(real) + step;
    from = real;
    rate = new_rate;
  }
};

class master {
public:
  /// No founders: it joins a group that exists.
  master(cluster& c, member_id id, std::vector<member_id> founders);

  void start();
  /// The process ends now; what is not on the platter is lost.
  void crash();
  void pause();
  void resume();

  member_id id() const { return id_; }
  bool up() const { return up_; }
  bool paused() const { return up_ && paused_; }
  std::uint32_t life() const { return life_; }
  group_status status() const { return up_ ? raft_.group->now() : group_status{}; }
  const raft_handles& raft() const { return raft_; }
  const api_actor& api() const { return api_; }
  const apiserver::services_ptr& services() const { return services_; }
  store::view_ptr view() const { return raft_.state->current(); }
  const observer* seen() const { return observer_.get(); }
  component_env env(identity who) const;

  std::shared_ptr<platter> disk;
  std::shared_ptr<drifting_clock> clock = std::make_shared<drifting_clock>();

private:
  std::shared_ptr<sim_disk> open_disk();
  void open_raft();
  void open_api();
  void open_duties();

  cluster& cluster_;
  member_id id_;
  std::vector<member_id> founders_;
  std::uint32_t life_ = 0;
  bool up_ = false, paused_ = false;
  place place_ = 0;
  raft_handles raft_;
  apiserver::services_ptr services_;
  api_actor api_;
  caf::actor duties_;
  std::shared_ptr<actor_board> board_;
  std::shared_ptr<observer> observer_;
  std::shared_ptr<sim_disk> door_;
  std::shared_ptr<void> subscribed_;
};

} // namespace troupe::sim
