// watchers: clients that list a table and follow it, and go on at another member from their last revision when theirs
//           dies, or now and then for no reason.
// Owner:  one run.
// Units:  at most `pull_max` events per pull.
// Errors: a cursor that is too old leads to a new list, as with 410.
// Source: Kubernetes list and watch, over store/watch_hub.hpp.
#pragma once

#include "tests/sim/cluster.hpp"

#include <memory>
#include <string>
#include <vector>

namespace troupe::sim {

class watchers {
public:
  watchers(cluster& c, const std::vector<std::string>& tables);
  ~watchers();
  void start();
  /// Everybody has seen everything up to this revision.
  bool caught_up(revision rev) const;

private:
  struct watcher {
    std::uint32_t number = 0, table_id = 0;
    std::string table;
    member_id member;
    std::uint32_t life = 0; // of the member
    bool attached = false, listed = false, woken = false;
    revision cursor = 0;
    std::unique_ptr<store::subscription> sub;
    std::shared_ptr<store::watch_hub> hub;
  };

  void tend();
  bool alive(const watcher& x);
  void attach(watcher& x);
  void detach(watcher& x);
  void wake(watcher& x);
  void drain(watcher& x);
  void list(watcher& x);
  void note(watcher& x, watch_step::kind what, revision rev);

  cluster& cluster_;
  chance random_;
  std::vector<std::unique_ptr<watcher>> all_;
  std::uint32_t batch_ = 0;
};

} // namespace troupe::sim
