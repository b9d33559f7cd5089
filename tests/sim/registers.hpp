// registers: clients that read, write, compare-and-set and change several keys at once, through any member.
// Owner:  one run.
// Units:  values are unique over the run; a unit is one slot, or three that change together.
// Errors: answers are recorded as outcomes: 504 leaves a fate open, every other error promises that nothing happened.
// Source: ours; what a client is told is what the checkers take it at.
#pragma once

#include "tests/sim/cluster.hpp"

#include <string>
#include <vector>

namespace troupe::sim {

inline constexpr const char* register_table = "sim";

struct register_options {
  unsigned clients = 4, units = 6;
  instant think{std::chrono::seconds(1)}; // mean, between two operations of a client
  instant patience{std::chrono::seconds(15)};
};

class registers {
public:
  registers(cluster& c, register_options o);
  void start();
  /// No new operations; those under way end or time out.
  void stop() { stopped_ = true; }
  bool idle() const;
  std::uint64_t answered() const { return answered_; }

private:
  struct client {
    std::uint64_t number = 0;
    bool busy = false;
    std::size_t op = 0;           // in the history
    std::uint64_t generation = 0; // an answer to an earlier operation is late
  };

  unsigned width(std::uint32_t unit) const { return unit % 3 == 2 ? 3 : 1; }
  void next(client& c);
  void think(client& c);
  void read(client& c, master& m, std::uint32_t unit, bool stale);
  void write(client& c, master& m, std::uint32_t unit);
  void begin(client& c, operation op);
  void finish(client& c, outcome result, std::vector<slot_value> seen, revision rev);
  std::vector<slot_value> slots(const store::view& v, std::uint32_t unit) const;
  void wrote(client& c, std::uint64_t generation, member_id at, const operation& op, store::txn_result& r);

  cluster& cluster_;
  register_options options_;
  chance random_;
  std::vector<client> clients_;
  std::uint64_t next_value_ = 0, answered_ = 0;
  bool stopped_ = false;
};

} // namespace troupe::sim
