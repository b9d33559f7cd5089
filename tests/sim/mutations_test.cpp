// mutations_test: plants one bug after the other and demands that the simulation finds each within a stated number of
// seeds; a checker that misses one is a defect. Without arguments it plays all of them and prints the table.
//
// Two stages: the Raft core alone (tests/unit/raft/cluster_sim, milliseconds per seed), and whole clusters of the
// simulation with its checkers (about a second per seed). Each bug runs in a process of its own, because it may well
// crash or hang; that counts as found only when the table says "by dying".
#include "store/mutations.hpp"
#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/episode.hpp"
#include "tests/unit/raft/cluster_sim.hpp"

#include <boost/program_options.hpp>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace troupe;
using namespace std::chrono_literals;
namespace po = boost::program_options;

using core_shape = void (*)(raft::test::sim_options&);
using cluster_shape = void (*)(sim::episode_options&);

struct planted {
  mutation what;
  const char* name;
  const char* bug;
  unsigned core_seeds, cluster_seeds; // must be found within so many; 0: this stage cannot show it
  core_shape core = nullptr;
  cluster_shape cluster = nullptr;
};

// Each bug needs its own kind of trouble to show within few seeds.
void fixed(raft::test::sim_options& o, unsigned members) {
  o.members = o.voters = members;
  o.changes = false;
}
void three(raft::test::sim_options& o) { fixed(o, 3); }
void four_by_rule(raft::test::sim_options& o) {
  fixed(o, 4);
  o.write_failures = false;
}
void five_by_rule(raft::test::sim_options& o) {
  fixed(o, 5);
  o.write_failures = false;
}
void clean_links_by_rule(raft::test::sim_options& o) {
  fixed(o, 3);
  o.write_failures = false;
  o.drop = o.duplicate = 0;
}
void brief_restarts(raft::test::sim_options& o) {
  fixed(o, 5);
  o.drop = 0.1;
  o.delay_max = 400ms;
  o.more_crashes = 0.01;
  o.down_max = 10ms;
}
void refusing_disks(raft::test::sim_options& o) {
  fixed(o, 3);
  o.refusals = 0.05;
  o.more_crashes = 0.02;
}
void slow_disks(raft::test::sim_options& o) {
  fixed(o, 3);
  o.sync_max = 200ms;
  o.more_crashes = 0.02;
}
void lagging(raft::test::sim_options& o) {
  fixed(o, 3);
  o.drop = 0.1;
  o.delay_max = 100ms;
  o.more_crashes = 0.005;
}
void many_members(raft::test::sim_options& o) {
  o.members = 7;
  o.drop = 0.1;
}
void leases(raft::test::sim_options& o) {
  fixed(o, 3);
  o.leases = true;
  o.crashes = o.transfers = o.write_failures = false; // partitions only: the old leader must live on
  o.drop = o.duplicate = 0;
  o.delay_max = 5ms;
  o.sync_max = 2ms;
}
void corrupting(sim::episode_options& o) {
  o.masters = 3;
  o.nemesis.every = 2s;
  o.nemesis.corruption = true;
}
void dying_disks(sim::episode_options& o) {
  auto& n = o.nemesis;
  n.pauses = n.partitions = n.bad_links = n.clocks = n.transfers = false;
  n.every = 1s;
}
void reordering(sim::episode_options& o) {
  auto& n = o.nemesis;
  n.pauses = n.disks = n.clocks = n.transfers = false;
  n.every = 1500ms;
}
/// Members that join and members that lost their data get snapshots; watchers resume far behind.
void resuming(sim::episode_options& o) {
  o.faults_for = 10min;
  o.nemesis.membership = o.nemesis.corruption = true;
  o.small_limits = false;
}

constexpr planted all[] = {
    {mutation::forget_vote, "forget-vote", "the vote is not persisted", 400, 0, brief_restarts},
    {mutation::vote_for_stale_log, "vote-for-stale-log", "a vote for a candidate that lacks entries", 25, 60},
    {mutation::recovering_votes, "recovering-votes", "a member that lost entries takes part in elections", 0, 60,
     nullptr, corrupting},
    {mutation::learners_count, "learners-count", "learners count towards a commit", 100, 0},
    {mutation::half_is_majority, "half-is-majority", "2 of 4 commit", 25, 0, four_by_rule},
    {mutation::skip_joint, "skip-joint", "several members change in one step", 300, 0, many_members},
    {mutation::stale_config, "stale-config", "a truncated membership change stays in force", 800, 0},
    {mutation::count_prior_term, "count-prior-term", "an entry of a former term commits by counting", 50, 0,
     five_by_rule},
    {mutation::commit_alone, "commit-alone", "the leader commits what only it holds", 25, 60},
    {mutation::reply_before_sync, "reply-before-sync", "votes and appends are confirmed before they are durable", 50,
     60, slow_disks, dying_disks},
    {mutation::count_held, "count-held", "what a follower holds only in memory counts as durable there", 100, 0,
     refusing_disks},
    {mutation::append_unchecked, "append-unchecked", "the entry before an append is not compared", 100, 300, three},
    {mutation::truncate_always, "truncate-always", "an append cuts off what follows though it agrees", 50, 0,
     clean_links_by_rule},
    {mutation::heartbeat_commits, "heartbeat-commits", "a heartbeat commits what the follower may not hold", 100, 60,
     three, reordering},
    {mutation::snapshot_keeps_tail, "snapshot-keeps-tail", "a snapshot leaves entries of the old log behind it", 1500,
     0, lagging},
    {mutation::apply_twice, "apply-twice", "a restart applies again what the state covers", 25, 60},
    {mutation::read_without_round, "read-without-round", "a read does not ask whether we still lead", 0, 200},
    {mutation::read_before_apply, "read-before-apply", "a read does not wait until its index is applied", 0, 60},
    {mutation::stale_lease, "stale-lease", "a lease outlives the followers' patience", 100, 0, leases},
    {mutation::skip_fence, "skip-fence", "a deposed leader's late write is applied", 0, 60},
    {mutation::skip_compare, "skip-compare", "a compare that does not hold stops nothing", 0, 60},
    {mutation::repropose_open, "repropose-open", "a write whose fate is open is proposed again", 0, 100},
    {mutation::forget_silently, "forget-silently", "a watch window forgets without telling late cursors", 0, 60,
     nullptr, resuming},
    {mutation::split_revision, "split-revision", "a pull ends within a transaction", 0, 60, nullptr, resuming},
    {mutation::repeat_event, "repeat-event", "a pull begins with the event at the cursor", 0, 60},
    {mutation::bookmark_ahead, "bookmark-ahead", "a pull that has more says that everything was given", 0, 60, nullptr,
     resuming},
};

struct catch_of {
  unsigned seeds = 0;
  std::string by, sentence;
};
using maybe_catch = std::optional<catch_of>;

maybe_catch core_stage(const planted& p, std::uint64_t from, unsigned seeds) {
  for (unsigned i = 0; i < seeds; ++i) {
    raft::test::sim_options o;
    sim::history seen;
    o.seed = from + i;
    o.record = &seen;
    if (p.core) p.core(o);
    raft::test::cluster_sim group(o);
    group.run(15s);
    group.settle(30s);
    auto checkers = sim::all_checkers();
    if (!o.changes && !o.write_failures) checkers.push_back(sim::commit_rule(o.voters, o.sync_max * 5 / 2));
    sim::judge judge(std::move(checkers));
    judge.finish(seen);
    const auto wrong = judge.verdicts();
    if (!wrong.empty()) return catch_of{i + 1, wrong[0].property, wrong[0].what};
    if (!group.fault.empty()) return catch_of{i + 1, "the group's own checks", group.fault};
  }
  return std::nullopt;
}

sim::episode_options cluster_options(const planted& p, std::uint64_t seed) {
  auto o = sim::options_of(seed, 0);
  o.control_plane = o.lease_reads = false;
  o.faults_for = 4min;
  const auto every = o.nemesis.every;
  o.nemesis = {};
  o.nemesis.every = every / 3;
  o.nemesis.membership = o.nemesis.corruption = false;
  if (p.cluster) p.cluster(o);
  return o;
}

maybe_catch cluster_stage(const planted& p, std::uint64_t from, unsigned seeds, bool verbose) {
  for (unsigned i = 0; i < seeds; ++i) {
    auto o = cluster_options(p, from + i);
    o.verbose = verbose;
    const auto r = sim::run_episode(o);
    if (!r.wrong.empty()) return catch_of{i + 1, r.wrong[0].property, r.wrong[0].what};
  }
  return std::nullopt;
}

/// Runs in a process of its own. The answer comes as one line; none when it died or took too long.
maybe_catch apart(const std::function<maybe_catch()>& stage, unsigned seconds_max) {
  int ends[2];
  if (::pipe(ends) != 0) return std::nullopt;
  std::fflush(stdout);
  const auto child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    ::alarm(seconds_max);
    const auto c = stage();
    const auto line = c ? std::to_string(c->seeds) + "\t" + c->by + "\t" + c->sentence : std::string("0\t\t");
    for (std::size_t sent = 0; sent < line.size();) {
      const auto n = ::write(ends[1], line.data() + sent, line.size() - sent);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string line;
  char buffer[4096];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    line.append(buffer, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int how = 0;
  ::waitpid(child, &how, 0);
  if (WIFSIGNALED(how))
    return catch_of{0, WTERMSIG(how) == SIGALRM ? "nothing in time" : "dying", std::string(::strsignal(WTERMSIG(how)))};
  const auto a = line.find('\t'), b = line.find('\t', a + 1);
  catch_of c;
  c.seeds = static_cast<unsigned>(std::strtoul(line.c_str(), nullptr, 10));
  if (c.seeds == 0 || b == std::string::npos) return std::nullopt;
  c.by = line.substr(a + 1, b - a - 1);
  c.sentence = line.substr(b + 1);
  return c;
}

struct wishes {
  std::string only, stage;
  std::uint64_t seed = 1;
  unsigned seeds = 0, seconds = 60;
  bool verbose = false, markdown = false;
};

std::string told(const maybe_catch& c, unsigned within) {
  if (within == 0) return "-";
  if (!c) return "NOT within " + std::to_string(within);
  return c->seeds == 0 ? c->by : "seed " + std::to_string(c->seeds) + " of " + std::to_string(within);
}

/// Plays one bug in the stages that can show it. True when found as promised.
bool play(const planted& p, const wishes& w) {
  const auto begun = std::chrono::steady_clock::now();
  const auto core_seeds = w.stage == "cluster" ? 0 : w.seeds && p.core_seeds ? w.seeds : p.core_seeds;
  const auto cluster_seeds = w.stage == "core" ? 0 : w.seeds && p.cluster_seeds ? w.seeds : p.cluster_seeds;
  maybe_catch core, cluster;
  active_mutation = p.what;
  if (core_seeds) core = apart([&] { return core_stage(p, w.seed, core_seeds); }, w.seconds);
  if (cluster_seeds) cluster = apart([&] { return cluster_stage(p, w.seed, cluster_seeds, w.verbose); }, w.seconds);
  active_mutation = mutation::none;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  auto found = [](const maybe_catch& c, unsigned within) { return within == 0 || (c && c->seeds != 0); };
  const bool fine = found(core, core_seeds) && found(cluster, cluster_seeds);
  if (w.markdown)
    std::printf("| %s | %s | %s | %s | %s |\n", p.name, p.bug, cluster ? cluster->by.c_str() : "-",
                told(cluster, cluster_seeds).c_str(), told(core, core_seeds).c_str());
  else
    std::printf("%-20s %-27s %-16s core %-16s %5.1f s%s\n", p.name, cluster ? cluster->by.c_str() : "-",
                told(cluster, cluster_seeds).c_str(), told(core, core_seeds).c_str(), took.count(),
                fine ? "" : "  MISSED");
  if (!w.only.empty())
    for (const auto* c : {&core, &cluster})
      if (*c) std::printf("  %s\n", (*c)->sentence.c_str());
  std::fflush(stdout);
  return fine;
}

/// The same clusters without a bug: what the checkers say of a mutation must be the mutation's doing.
bool clean_runs(const wishes& w) {
  planted none{mutation::none, "none", "no bug", 5, 2};
  if (w.seeds) none.core_seeds = none.cluster_seeds = w.seeds;
  const auto core = apart([&] { return core_stage(none, w.seed, none.core_seeds); }, w.seconds);
  const auto cluster = apart([&] { return cluster_stage(none, w.seed, none.cluster_seeds, w.verbose); }, w.seconds);
  for (const auto* c : {&core, &cluster})
    if (*c) std::printf("without any bug: %s: %s\n", (*c)->by.c_str(), (*c)->sentence.c_str());
  return !core && !cluster;
}

} // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::off);
  wishes w;
  po::options_description d("mutations_test: does the simulation find planted bugs?");
  d.add_options()("help", "this text")("list", "the names of all bugs")(
      "mutation", po::value(&w.only), "only this one; none: no bug, and nothing may be found")(
      "stage", po::value(&w.stage), "core or cluster; both when absent")("seed", po::value(&w.seed), "the first one")(
      "seeds", po::value(&w.seeds), "how many, instead of what the table states")("seconds", po::value(&w.seconds),
                                                                                  "at most for one stage of one bug")(
      "verbose", po::bool_switch(&w.verbose), "tell every fault and leader")("markdown", po::bool_switch(&w.markdown),
                                                                             "the table as the track record has it");
  po::variables_map v;
  try {
    po::store(po::parse_command_line(argc, argv, d), v);
    po::notify(v);
  } catch (const po::error& e) {
    std::fprintf(stderr, "mutations_test: %s\n", e.what());
    return 2;
  }
  if (v.count("help")) {
    std::cout << d << "\n";
    return 0;
  }
  unsigned played = 0, missed = 0;
  if (w.only == "none") return clean_runs(w) ? 0 : 1;
  for (const auto& p : all) {
    if (v.count("list")) {
      std::printf("%-20s %s\n", p.name, p.bug);
      continue;
    }
    if (!w.only.empty() && w.only != p.name) continue;
    ++played;
    missed += !play(p, w);
  }
  if (v.count("list")) return 0;
  if (played == 0) {
    std::fprintf(stderr, "mutations_test: no bug is called %s; --list names all\n", w.only.c_str());
    return 2;
  }
  const bool clean = !w.only.empty() || clean_runs(w);
  std::printf("%u planted bugs, %u missed%s\n", played, missed, clean ? "" : "; and found what was not planted");
  return missed == 0 && clean ? 0 : 1;
}
