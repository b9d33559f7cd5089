// scenario_world: a small group of Raft cores whose messages and writes move only when a scenario says so.
// Owner:  the test.
// Units:  -
// Errors: an unknown command answers with a line that says so, which no expectation holds.
// Source: ours; the form follows etcd raft's interaction tests. Commands are the handlers in scenario_world.cpp.
#pragma once

#include "actors/raft/raft_core.hpp"

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace troupe::raft::test {

class scenario_world {
public:
  /// Carries out one command line; returns what it caused, one line each.
  std::vector<std::string> run(const std::string& command);

private:
  struct member {
    std::unique_ptr<raft_core> core;
    core_state disk;
    std::string state;      // of the state machine: applied payloads, one after the other
    std::string disk_state; // as of disk.applied
    std::string chunks;
    std::optional<persist_effect> writing;
    std::optional<aside_effect> aside;
    instant wake = instant::max();
    bool manual = false; // `settle` leaves its writes alone
    bool cut = false;    // nothing reaches it, nothing leaves it
  };
  using words = std::vector<std::string>;

  void create(const words& w);
  void settle();
  void step(std::uint64_t id, const event& e);
  void perform(std::uint64_t id, effects e);
  void finish_write(std::uint64_t id);
  void fail_write(std::uint64_t id);
  void finish_aside(std::uint64_t id, bool ok);
  void start(std::uint64_t id);
  void stop(std::uint64_t id);
  void elect(std::uint64_t id);
  void elapse(std::uint64_t ms);
  bool deliver_next(std::uint64_t from, std::uint64_t to);
  void serve(std::uint64_t id, const want_chunk& w);
  void change(std::uint64_t id, const words& w);
  void give_disk(std::uint64_t id, const words& w);
  void damage(std::uint64_t id, log_index keep);
  void repeat(std::uint64_t from, std::uint64_t to);
  void late(std::uint64_t from, std::uint64_t to);
  void show_status();
  void show_log(std::uint64_t id);
  void show_messages();
  void say(std::string line) { said_.push_back(std::move(line)); }

  std::map<std::uint64_t, member> members_;
  std::deque<message> wire_;
  instant now_{0};
  bool leases_ = false;
  duration tell_within_{0}; // everybody at once
  duration spare_for_{0};   // nobody
  std::vector<std::string> said_;
};

std::string describe(const message& m);
std::string describe(const group_config& c);

} // namespace troupe::raft::test
