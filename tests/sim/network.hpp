// network: carries parcels between the members of a group, by rules that the nemesis changes: delay, loss, repetition,
//          reordering, one-way cuts, storms.
// Owner:  the world.
// Units:  virtual time; at most backlog_max parcels are under way on one link, beyond: lost.
// Errors: -
// Source: actors/raft/raft_transport.hpp. Members share nothing: a repeated parcel is a copy.
#pragma once

#include "actors/raft/raft_transport.hpp"
#include "tests/sim/recorder.hpp"
#include "tests/sim/world.hpp"

#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace troupe::sim {

struct link_rules {
  instant delay_min{std::chrono::microseconds(100)}, delay_max{std::chrono::microseconds(600)};
  double loss = 0, repeat = 0;
  double late = 0; // of parcels that take up to `late_max`: they arrive behind later ones
  instant late_max{std::chrono::milliseconds(200)};
  unsigned storm = 0; // further copies of each parcel
};

class network final : public source {
public:
  network(world& w, recorder& r, std::uint64_t seed) : world_(w), recorder_(r), random_(seed, "network") {}

  /// The way out of one life of a member; what is still under way to an earlier life is lost.
  std::shared_ptr<raft_transport> connect(member_id who);
  void disconnect(member_id who);

  link_rules rules;               // of every link
  double codec = 0.02;            // of parcels that go through their encoding, as between machines
  std::size_t backlog_max = 4096; // of one link
  void cut(member_id from, member_id to, bool yes = true);
  void heal();
  std::uint64_t carried() const { return carried_; }

  instant due() const override { return under_way_.empty() ? instant::max() : under_way_.top().when; }
  void fire() override;

private:
  class port;
  struct flight {
    instant when;
    std::uint64_t order;
    std::uint32_t life;
    mutable raft::parcel_ptr what;
    bool operator<(const flight& o) const { return when != o.when ? when > o.when : order > o.order; }
  };
  struct station {
    std::uint32_t life = 0; // 0: never connected
    bool up = false;
    std::optional<raft_actor> inbox;
  };
  struct link {
    bool cut = false;
    std::size_t backlog = 0;
    instant busy_until{0};
  };

  void send(raft::parcel_ptr p);
  void launch(const link_rules& how, link& l, std::uint32_t life, raft::parcel_ptr p);
  void observe(const raft::parcel& p);
  raft::parcel_ptr recoded(const raft::parcel& p);

  world& world_;
  recorder& recorder_;
  chance random_;
  std::map<member_id, station> stations_;
  std::map<std::pair<member_id, member_id>, link> links_;
  std::priority_queue<flight> under_way_;
  std::uint64_t order_ = 0, carried_ = 0;
};

} // namespace troupe::sim
