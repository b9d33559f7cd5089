// group_lab: several masters without Raft: one shared log, a stand-in Raft actor per member, on virtual time. Any of
//            them can lead, lag behind, or be left without a leader.
// Owner:  one test.
// Units:  virtual time; step() moves it.
// Errors: as the real actor answers: 503 without a leader, 503 for commands elsewhere than at the leader.
// Source: ours; the members' own state machines apply what is proposed.
#pragma once

#include "actors/protocol.hpp"
#include "actors/raft/group_board.hpp"
#include "store/state_machine.hpp"
#include "store/watch_window.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace troupe::test {

struct lab_member {
  store::member_id id;
  store::state_machine machine;
  std::shared_ptr<store::published_view> state;
  std::shared_ptr<store::watch_window> hub;
  std::shared_ptr<group_board> group = std::make_shared<group_board>();
  raft_actor raft;
  bool held = false; // applies nothing until released
  std::size_t applied = 0;
  struct waiter {
    std::size_t index;
    std::uint64_t ticket;
    txn_sink_actor sink;
  };
  std::vector<waiter> writes;
  struct reader {
    std::size_t upto;
    std::function<void(const status&)> done;
  };
  std::vector<reader> readers;
  std::uint64_t proposals = 0, barriers = 0;

  store::view_ptr view() const { return state->current(); }
};

class group_lab {
  struct config : caf::actor_system_config {
    config() { set("scheduler.policy", caf::atom("testing")); }
  };
  config config_;

public:
  /// Member ids are 1 … n, all voters; nobody leads yet.
  explicit group_lab(std::size_t n);
  ~group_lab();

  /// Member i leads in a new term.
  void lead(std::uint64_t i);
  void leaderless();
  void hold(std::uint64_t i) { at(i).held = true; }
  void release(std::uint64_t i);
  lab_member& at(std::uint64_t i) { return *members_.at(i - 1); }
  std::uint64_t term() const { return term_; }

  /// Commits a change, as somebody's write would; false when it changed nothing.
  bool apply(const store::txn& t);

  void run() { scheduler.run(); }
  void step(std::chrono::milliseconds d);
  /// Ends an actor before the lab does.
  void end(const caf::actor& a);

  /// The configuration, as commands change it, and what the leader says of each member.
  struct seat {
    bool voter = true;
    std::uint64_t lag = 0;
    std::int64_t contact_ms = 5;
  };
  std::map<std::uint64_t, seat> seats;
  std::vector<std::string> commands; // e.g. "add_learner 4"

  caf::actor_system system{config_};
  caf::scheduler::test_coordinator& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());

private:
  friend struct lab_raft;
  void tell();
  void append(const store::txn& t);
  void propose_at(lab_member& m, propose& p, const txn_sink_actor& sink);
  void readers_at(lab_member& m);
  void catch_up(lab_member& m);
  status command_at(lab_member& m, const member_command& c);
  std::string status_of(const lab_member& m) const;

  std::vector<std::unique_ptr<lab_member>> members_;
  std::vector<store::log_entry> log_;
  std::uint64_t leader_ = 0, term_ = 0;
};

} // namespace troupe::test
