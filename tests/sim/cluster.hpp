// cluster: the masters, the hollow workers and the network between them, and how a client reaches them.
// Owner:  one run.
// Units:  virtual time.
// Errors: -
// Source: ours.
#pragma once

#include "runtime/engine.hpp"
#include "tests/sim/master.hpp"

#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

namespace troupe::sim {

struct shape {
  std::uint64_t seed = 1;
  unsigned masters = 3;
  unsigned workers = 2;
  bool control_plane = true; // api actors, duties, workers; else the group alone
  raft_timing timing;
  bool small_limits = false; // short logs and watch windows: snapshots and 410 are common
};

/// A hollow node: a real kubelet over containers that outlive its process, attached to one master at a time.
struct worker {
  std::string name;
  unsigned number = 0;
  std::shared_ptr<runtime::engine> engine;
  /// Its wall clock is off by this; it steps both ways, as one that is set does.
  std::shared_ptr<instant> wall_off = std::make_shared<instant>(0);
  place where = 0;
  bool up = false;
  member_id attached;
  std::uint32_t attached_life = 0;
  caf::actor kubelet;
};

class cluster {
public:
  cluster(world& w, recorder& r, shape s);
  ~cluster();

  world& w;
  recorder& r;
  const shape form;
  network net;
  std::vector<std::unique_ptr<master>> masters; // those that ever were; `removed` ones stay, down
  std::vector<worker> workers;
  std::shared_ptr<first_seen> first = std::make_shared<first_seen>();
  std::shared_ptr<const tls::pki> keys;

  void start();
  /// A new process that waits to be added to the group; its number was never used before.
  master& add_joining();
  master* find(member_id id);
  /// Serving, up and not paused; of the highest term.
  master* leader();
  std::vector<master*> running();
  /// Any one that runs; null: none.
  master* any(chance& random);
  std::uint64_t mixed_seed(std::uint64_t a, std::uint64_t b) const;

  /// `done` may never be called, when the member dies.
  void propose(master& m, store::txn change, std::function<void(store::txn_result&)> done);
  void call(master& m, request_ptr what, std::function<void(const response_ptr&)> done);
  void command(master& m, member_command what, std::function<void(const status&)> done);
  std::size_t waiting() const { return waiting_.size(); }

  /// Attaches every worker that has lost its master to one that runs.
  void tend_workers();
  void stop_worker(worker& n);
  /// The group is alone in the world when this is called: brings the first objects there. False while it cannot.
  bool bootstrap();
  bool bootstrapped() const { return bootstrapped_; }

private:
  void start_worker(worker& n, master& m);
  std::function<std::chrono::system_clock::time_point()> wall_clock_of(const worker& n);

  chance random_;
  txn_sink_actor sink_;
  std::uint64_t next_ticket_ = 0;
  std::unordered_map<std::uint64_t, std::function<void(store::txn_result&)>> waiting_;
  bool bootstrapped_ = false, bootstrapping_ = false;
  std::size_t bootstrap_open_ = 0;
  bool bootstrap_failed_ = false;
};

} // namespace troupe::sim
