// cluster_sim: members of a Raft group in one thread on virtual time, with a network and disks that misbehave by seed.
// Owner:  the test.
// Units:  virtual nanoseconds.
// Errors: `fault` holds the first broken promise; empty while all is well.
// Source: ours; checks follow Raft thesis figure 3.2.
#pragma once

#include "actors/raft/raft_core.hpp"
#include "tests/sim/history.hpp"

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <string>

namespace troupe::raft::test {

struct sim_options {
  std::uint64_t seed = 1;
  unsigned members = 5; // ids 1..members exist
  unsigned voters = 3;  // 1..voters are the first group
  double drop = 0.05, duplicate = 0.03;
  duration delay_max = std::chrono::milliseconds(40);
  duration sync_max = std::chrono::milliseconds(10);
  bool crashes = true, partitions = true, changes = true, transfers = true, write_failures = true, compaction = true;
  double refusals = 0.01;  // of write_failures: share of writes
  bool leases = false;     // clocks are perfect here, so leases must be safe
  double more_crashes = 0; // share of deeds that are one more crash
  double leaders_die = 0;  // share of elections whose winner crashes within reign_max
  duration reign_max = std::chrono::milliseconds(400);
  duration down_max = std::chrono::milliseconds(800);
  std::size_t append_entries_max = 4;
  sim::history* record = nullptr; // what is stored, applied and led, for the simulation's checkers
};

/// The durable side of one member: what survives a crash.
struct sim_disk {
  hard_state hard;
  log_position base;
  std::vector<log_entry> log;
  log_index applied;
  std::uint64_t state = 0; // of the state machine as of `applied`
  group_config config;
  std::string chunks;
};

class cluster_sim {
public:
  explicit cluster_sim(sim_options o);
  /// Lets virtual time pass, with faults.
  void run(duration how_long);
  /// Heals everything, waits for one leader, and demands that all members agree; false with `fault` set otherwise.
  bool settle(duration at_most);

  std::string fault;
  std::uint64_t committed() const { return committed_.empty() ? 0 : committed_.rbegin()->first; }
  std::uint64_t elections = 0, acked = 0, reads_checked = 0, snapshots = 0, crashes = 0, config_changes = 0, asides = 0;

private:
  struct member {
    member_id id;
    sim_disk disk;
    std::unique_ptr<raft_core> core; // null while down
    std::uint64_t life = 0;          // raised by each crash; older events are void
    log_index applied;
    std::uint64_t state = 0;
    group_config config;
    std::optional<persist_effect> writing;
    std::optional<aside_effect> aside;
    std::uint64_t aside_number = 0;               // of the last one that was handed out
    std::map<std::uint64_t, std::uint64_t> reads; // id -> highest acknowledged index when asked
    std::uint64_t tick_epoch = 0;
    bool slow_write_failed = false;
  };
  struct happening {
    instant at;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const happening& o) const { return at != o.at ? at > o.at : order > o.order; }
  };

  void at(duration in, std::function<void()> what);
  std::uint64_t pick(std::uint64_t n) { return rng_() % n; }
  bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(rng_) < p; }
  duration some(duration max) {
    return duration(static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(max.count()) + 1)));
  }

  void start(member& m);
  void crash(member& m);
  void step(member& m, const event& e);
  void perform(member& m, effects e);
  void finish_aside(member& m, std::uint64_t number);
  void finish_write(member& m);
  void apply(member& m, const log_entry& e);
  void send(const message& m);
  void serve_chunk(member& m, const want_chunk& w);
  void check(member& m, role before);
  void reigns(const member& m, std::uint64_t term);
  void witness(const message& x);
  sim::stamp stamp() { return {now_, ++records_}; }
  void record_adopted(const member& m, bool snapshot, log_position at, std::uint64_t state);
  void record_role(const member& m);
  void inject();
  void propose_somewhere();
  void wrong(std::string what);
  member* leader();

  sim_options opt_;
  std::mt19937_64 rng_;
  instant now_{0};
  std::uint64_t order_ = 0, records_ = 0;
  std::priority_queue<happening> todo_;
  std::map<member_id, member> members_;
  std::map<member_id, unsigned> side_; // of the partition
  bool calm_ = false;
  std::uint64_t next_value_ = 0, next_read_ = 0;
  std::uint64_t acked_index_ = 0;
  std::map<std::uint64_t, std::pair<member_id, std::uint64_t>> leader_of_;   // term -> leader and its life
  std::set<std::pair<std::uint64_t, member_id>> claimed_;                    // who acted as leader of a term
  std::map<std::uint64_t, std::pair<std::uint64_t, std::string>> committed_; // index -> (term, payload)
  std::map<std::uint64_t, std::uint64_t> state_at_; // index -> state of whoever applied it first
};

} // namespace troupe::raft::test
