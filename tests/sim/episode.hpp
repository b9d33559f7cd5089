// episode: one whole run of a seed: a group is founded, lives through faults under load, is healed, and is judged.
// Owner:  the caller; everything in it dies with it.
// Units:  virtual time.
// Errors: what was found wrong is returned; a run that cannot go on (livelock, a refused start) is a violation, too.
// Source: issue 3, "Proof".
#pragma once

#include "tests/sim/cluster.hpp"
#include "tests/sim/nemesis.hpp"

#include <string>
#include <vector>

namespace troupe::sim {

struct episode_options {
  std::uint64_t seed = 1;
  unsigned masters = 3;
  instant faults_for{std::chrono::minutes(10)};
  bool control_plane = true;
  bool small_limits = false; // short logs and watch windows
  bool lease_reads = false;  // only where clocks run alike
  bool verbose = false;      // tells every fault and role change as it happens
  nemesis_options nemesis;
};

struct episode_result {
  std::vector<violation> wrong;
  totals sums;
  instant virtual_time{0};
  std::uint64_t hash = 0;
  instant converged_in{0};
};

/// The options that a seed stands for: sizes, rates and which faults occur are drawn from it.
episode_options options_of(std::uint64_t seed, unsigned masters);
episode_result run_episode(const episode_options& o);

} // namespace troupe::sim
