// nemesis: everything that goes wrong, drawn from the seed: processes, network, disks, clocks, membership.
// Owner:  one run.
// Units:  virtual time; one fault begins every `every` on average, several may be at work together.
// Errors: -
// Source: issue 3, "Proof"; ours. Only lost data is rationed: never more than a minority of the voters at a time, for
//         that is all the product promises to survive.
#pragma once

#include "tests/sim/cluster.hpp"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace troupe::sim {

struct nemesis_options {
  instant every{std::chrono::seconds(8)};
  bool crashes = true, pauses = true, partitions = true, bad_links = true, disks = true, corruption = true,
       clocks = true, membership = true, transfers = true;
};

class nemesis {
public:
  nemesis(cluster& c, nemesis_options o);
  void start();
  /// Ends every fault, starts everybody who belongs to the group; only the repair of members goes on.
  void heal();
  bool calm() const { return calm_; }
  /// Members of the group as the leader sees them, once it has been asked after healing; empty before.
  const std::vector<member_id>& known_members() const { return known_; }
  /// No membership change is under way and nobody's data is being given back.
  bool settled() const { return !changing_ && damaged_.empty() && !known_.empty(); }
  bool retired(member_id id) const { return retired_.contains(id); }

private:
  struct plan {
    unsigned weight = 1;
    std::function<void()> strike;
  };
  void strike();
  void tend();
  void note(const std::string& what) { cluster_.r.fault_began(what); }
  master* victim();
  instant for_a_while(instant mean) { return std::chrono::milliseconds(50) + random_.around(mean); }
  void later(instant after, std::function<void(nemesis&)> what);

  // nemesis.cpp: processes, disks, clocks
  void crash_one(bool at_write);
  void crash_many();
  void pause_one();
  void slow_disk();
  void full_disk();
  void failing_disk();
  void corrupt_one();
  void bend_clock();
  void set_wall_clock(instant step);
  void revive(master& m);

  // nemesis_group.cpp: network and membership
  void split();
  void cut_one_way();
  void isolate_leader();
  void bad_links();
  void storm();
  void transfer();
  void change_members();
  void changed();
  void grow(bool then_shrink);
  void shrink();
  void ask(member_command what, unsigned tries, std::function<void(const status&)> done);
  void look_at_members();
  void retire_strangers();

  cluster& cluster_;
  nemesis_options options_;
  chance random_;
  std::vector<plan> plans_;
  std::uint64_t epoch_ = 0; // raised by heal: what was to end later has ended
  bool calm_ = false, changing_ = false, looking_ = false;
  std::set<member_id> reviving_;
  std::set<member_id> damaged_;
  std::map<member_id, instant> whole_since_;
  std::map<member_id, log_index> first_intact_; // what a damaged member held: until it has that again, it is damaged
  std::set<member_id> gone_;                    // their removal was acknowledged
  std::set<member_id> retired_;
  unsigned same_looks_ = 0;
  std::vector<member_id> known_; // voters and learners
  std::vector<member_id> voters_;
  log_index known_at_;
};

} // namespace troupe::sim
