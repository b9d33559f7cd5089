// sim: runs episodes of the simulation one after the other until enough virtual time has passed, and says what it
// found.
#include "tests/sim/episode.hpp"

#include <boost/program_options.hpp>
#include <spdlog/spdlog.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <random>

using namespace troupe::sim;
namespace po = boost::program_options;

namespace {

/// Set by ./dev: a binary may be older than what is checked out, but never newer.
const char* commit() {
  const char* c = std::getenv("TROUPE_COMMIT");
  return c ? c : "unknown";
}

/// A long run that is told to end finishes its episode and prints its totals.
volatile std::sig_atomic_t told_to_end = 0;

struct wishes {
  std::uint64_t seed = 0;
  unsigned masters = 0, episodes = 0;
  double hours = 1;
  bool quiet = false, verbose = false, twice = false, alone = false;
};

void add(totals& a, const totals& b) {
  a.steps += b.steps;
  a.parcels += b.parcels;
  a.operations += b.operations;
  a.faults += b.faults;
  a.elections += b.elections;
  a.applied += b.applied;
  a.watch_events += b.watch_events;
  a.api_calls += b.api_calls;
  a.starts += b.starts;
  a.snapshots += b.snapshots;
  a.barriers += b.barriers;
  a.config_changes += b.config_changes;
}

double in_hours(instant t) { return std::chrono::duration<double, std::ratio<3600>>(t).count(); }

void report_failure(const episode_options& o, const episode_result& r, bool alone) {
  for (const auto& v : r.wrong)
    std::printf("BROKEN: %s: %s\n", v.property.c_str(), v.what.c_str());
  std::printf("seed %lu, %u masters, commit %s; replay with:\n  ./dev sim --seed %lu --masters %u --episodes 1%s\n",
              o.seed, o.masters, commit(), o.seed, o.masters, alone ? " --alone" : "");
}

bool parse(int argc, char** argv, wishes& w) {
  po::options_description d("sim: whole clusters on virtual time, with faults from a seed");
  d.add_options()("help", "this text")("seed", po::value(&w.seed), "of the first episode; drawn when absent")(
      "hours", po::value(&w.hours)->default_value(1), "of virtual time, in episodes of successive seeds")(
      "episodes", po::value(&w.episodes), "that many episodes, however long they are")(
      "masters", po::value(&w.masters), "3 or 5; drawn from the seed when absent")(
      "quiet", po::bool_switch(&w.quiet), "no line per episode")("alone", po::bool_switch(&w.alone),
                                                                 "the group only, without API, controllers and nodes")(
      "twice", po::bool_switch(&w.twice), "run each episode again and demand that it is the same")(
      "verbose", po::bool_switch(&w.verbose), "tell every fault and leader");
  po::variables_map v;
  po::store(po::parse_command_line(argc, argv, d), v);
  po::notify(v);
  if (v.count("help")) {
    std::cout << d << "\n";
    return false;
  }
  if (!v.count("seed")) w.seed = std::random_device{}() % 1'000'000'000u;
  if (w.masters != 0 && w.masters != 3 && w.masters != 5) throw po::error("--masters is 3 or 5");
  return true;
}

int simulate(const wishes& w) {
  const auto begun = std::chrono::steady_clock::now();
  const auto cpu_begun = std::clock();
  totals sums;
  instant passed{0}, slowest{0};
  unsigned done = 0, failed = 0;
  const auto enough = [&] { return w.episodes != 0 ? done >= w.episodes : in_hours(passed) >= w.hours; };
  for (auto seed = w.seed; !told_to_end && !enough(); ++seed, ++done) {
    auto o = options_of(seed, w.masters);
    o.verbose = w.verbose;
    if (w.alone) o.control_plane = false;
    const auto at = std::chrono::steady_clock::now();
    auto r = run_episode(o);
    if (w.twice && run_episode(o).hash != r.hash)
      r.wrong.push_back({"determinism", "the second run of the seed differs from the first"});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - at;
    passed += r.virtual_time;
    slowest = std::max(slowest, r.converged_in);
    add(sums, r.sums);
    if (!w.quiet || !r.wrong.empty())
      std::printf("seed %lu: %u masters%s, %.2f h, %.0fx, %lu operations, %lu faults, %lu terms led, converged in %.0f "
                  "s, hash %016lx\n",
                  seed, o.masters, o.control_plane ? "" : " alone", in_hours(r.virtual_time),
                  std::chrono::duration<double>(r.virtual_time).count() / took.count(), r.sums.operations,
                  r.sums.faults, r.sums.elections, std::chrono::duration<double>(r.converged_in).count(), r.hash);
    if (!r.wrong.empty()) {
      ++failed;
      report_failure(o, r, w.alone);
    }
    std::fflush(stdout);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  const double cpu = static_cast<double>(std::clock() - cpu_begun) / CLOCKS_PER_SEC;
  std::printf(
      "%u episodes from seed %lu, commit %s: %.2f virtual hours in %.1f s (%.0fx real time, %.0fx per second of CPU); "
      "%lu operations, "
      "%lu api calls, %lu faults, %lu terms led, %lu membership entries, %lu snapshots, %lu starts, %lu parcels, "
      "%lu watch events; slowest convergence %.0f s; %u failed\n",
      done, w.seed, commit(), in_hours(passed), took.count(),
      std::chrono::duration<double>(passed).count() / took.count(), std::chrono::duration<double>(passed).count() / cpu,
      sums.operations, sums.api_calls, sums.faults, sums.elections, sums.config_changes, sums.snapshots, sums.starts,
      sums.parcels, sums.watch_events, std::chrono::duration<double>(slowest).count(), failed);
  return failed == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::off);
  std::signal(SIGINT, [](int) { told_to_end = 1; });
  std::signal(SIGTERM, [](int) { told_to_end = 1; });
  wishes w;
  try {
    if (!parse(argc, argv, w)) return 0;
    return simulate(w);
  } catch (const po::error& e) {
    std::fprintf(stderr, "sim: %s\n", e.what());
    return 2;
  }
}
