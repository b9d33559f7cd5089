// A random cluster on virtual time: election safety, leader completeness, log matching, state-machine equality,
// linearizable reads, and convergence after healing, for many seeds.
#include "tests/unit/raft/cluster_sim.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace troupe::raft::test;
using namespace std::chrono_literals;

namespace {

struct totals {
  std::uint64_t runs = 0, committed = 0, elections = 0, reads = 0, snapshots = 0, crashes = 0, asides = 0;
};

/// TROUPE_SEEDS=n runs more; TROUPE_SEED=n runs one.
totals play(unsigned seeds, const std::function<void(sim_options&)>& shape) {
  totals t;
  std::uint64_t from = 1, to = seeds;
  if (const char* many = std::getenv("TROUPE_SEEDS")) to = std::strtoull(many, nullptr, 10);
  if (const char* one = std::getenv("TROUPE_SEED")) from = to = std::strtoull(one, nullptr, 10);
  for (auto seed = from; seed <= to; ++seed) {
    sim_options o;
    o.seed = seed;
    shape(o);
    cluster_sim sim(o);
    sim.run(15s);
    sim.settle(30s);
    REQUIRE_MESSAGE(sim.fault.empty(), sim.fault);
    ++t.runs;
    t.committed += sim.committed();
    t.elections += sim.elections;
    t.reads += sim.reads_checked;
    t.snapshots += sim.snapshots;
    t.crashes += sim.crashes;
    t.asides += sim.asides;
  }
  return t;
}

} // namespace

TEST_CASE("a quiet group elects one leader and keeps it") {
  auto t = play(10, [](sim_options& o) {
    o.drop = o.duplicate = 0;
    o.crashes = o.partitions = o.changes = o.transfers = o.write_failures = false;
  });
  CHECK(t.elections == t.runs);
  CHECK(t.reads > 10 * t.runs);
}

TEST_CASE("three members survive loss, reordering, crashes, partitions and failing writes") {
  auto t = play(40, [](sim_options& o) {
    o.members = 3;
    o.changes = false;
  });
  CHECK(t.committed > 1000);
  CHECK(t.crashes > 100);
  CHECK(t.snapshots > 10);
}

TEST_CASE("members whose disks refuse writes for seconds vote beside them, lose nothing and go back on no vote") {
  auto t = play(40, [](sim_options& o) {
    o.members = 3;
    o.changes = false;
    o.refusals = 0.05;
    o.more_crashes = 0.01;
    o.down_max = 50ms;
    o.sync_max = 100ms;
  });
  CHECK(t.committed > 1000);
  CHECK(t.asides > 30);
}

TEST_CASE("membership changes through joint consensus keep every promise") {
  auto t = play(60, [](sim_options&) {});
  CHECK(t.committed > 1000);
  CHECK(t.elections > 60);
}

TEST_CASE("a lone voter may lead a term twice when it died before anybody could learn of the first time") {
  auto t = play(10, [](sim_options& o) {
    o.members = o.voters = 1;
    o.changes = o.partitions = o.transfers = false;
    o.leaders_die = 0.7;
    o.reign_max = 8ms; // a sync takes up to 10 ms
  });
  CHECK(t.crashes > 100);
}

TEST_CASE("a storm of loss and crashes breaks nothing") {
  play(30, [](sim_options& o) {
    o.drop = 0.3;
    o.duplicate = 0.2;
    o.delay_max = 300ms;
    o.sync_max = 100ms;
  });
}

TEST_CASE("lease reads are never stale while clocks run alike") {
  auto t = play(40, [](sim_options& o) {
    o.leases = true;
    o.members = 3;
    o.changes = false;
  });
  CHECK(t.reads > 20 * t.runs);
}
