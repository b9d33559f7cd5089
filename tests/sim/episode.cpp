#include "tests/sim/episode.hpp"

#include "tests/sim/api_load.hpp"
#include "tests/sim/checkers/checkers.hpp"
#include "tests/sim/registers.hpp"
#include "tests/sim/watchers.hpp"

#include <cstdio>
#include <optional>

namespace troupe::sim {

namespace {

using namespace std::chrono_literals;

constexpr instant founding_max = 2min;
/// Longest: pods of a node that was gone are evicted after 300 s, and their successors have to start.
constexpr instant converge_with_control_plane = 15min, converge_alone = 2min;
constexpr instant look_every = 1s;

/// The running checks keep long runs in bounded memory: what was read is forgotten.
class running_judge {
public:
  explicit running_judge(recorder& r) : r_(r) {}
  void read() {
    auto& h = r_.log;
    judge_.read(h);
    h.stored.clear();
    h.applied.clear();
    h.adopted.clear();
    h.roles.clear();
    h.claims.clear();
    h.changes.clear();
    h.acks.clear();
    h.watches.clear();
    judge_.forget();
  }
  bool clean() const { return judge_.clean(); }
  std::vector<violation> finish() {
    judge_.finish(r_.log);
    return judge_.verdicts();
  }

private:
  recorder& r_;
  judge judge_;
};

class run {
public:
  explicit run(const episode_options& o)
      : o_(o), w_(o.seed), r_([this] { return w_.now(); }), c_(w_, r_, shape_of(o)), nemesis_(c_, o.nemesis),
        registers_(c_, {}), watchers_(c_, tables(o)), judge_(r_) {
    if (o.control_plane) api_.emplace(c_, api_load_options{});
    w_.on_step = [this](caf::actor_id who) { r_.mix(who); };
  }

  episode_result go() {
    episode_result out;
    try {
      live();
    } catch (const std::exception& e) {
      out.wrong.push_back({"the run itself", e.what()});
    }
    if (o_.verbose) tell_operations();
    for (auto& v : judge_.finish())
      out.wrong.push_back(std::move(v));
    r_.sums.steps = w_.steps();
    r_.sums.parcels = c_.net.carried();
    out.sums = r_.sums;
    out.virtual_time = w_.now();
    out.hash = r_.running_hash();
    if (r_.log.end.converged_at) out.converged_in = *r_.log.end.converged_at - r_.log.end.healed_at;
    return out;
  }

private:
  static shape shape_of(const episode_options& o) {
    shape s{o.seed, o.masters, 2, o.control_plane, {}, o.small_limits};
    s.timing.lease_reads = o.lease_reads;
    return s;
  }
  static std::vector<std::string> tables(const episode_options& o) {
    if (o.control_plane) return {register_table, "configmaps", "pods"};
    return {register_table, register_table};
  }

  void live() {
    c_.start();
    for (const auto until = w_.now() + founding_max; !c_.bootstrap() && w_.now() < until;)
      pass(100ms);
    if (!c_.bootstrapped()) {
      r_.log.end.waits_for = "the first objects";
      return;
    }
    registers_.start();
    watchers_.start();
    if (api_) api_->start();
    nemesis_.start();
    const auto until = w_.now() + o_.faults_for;
    while (w_.now() < until && judge_.clean())
      pass(std::min<instant>(10s, until - w_.now()));
    if (judge_.clean()) converge();
  }

  void pass(instant how_long) {
    w_.run_until(w_.now() + how_long);
    tell();
    judge_.read();
  }

  /// Says what is still missing; empty when the cluster is as it should be.
  std::string missing() {
    auto* l = c_.leader();
    if (!l) return "a leader";
    if (!nemesis_.settled()) return "the end of membership changes and repairs";
    const auto* best = l->seen();
    for (const auto id : nemesis_.known_members()) {
      auto* m = c_.find(id);
      if (!m || !m->up()) return "member " + std::to_string(id.v);
      const auto s = m->status();
      if (s.leader != l->id() || s.term != l->status().term)
        return "member " + std::to_string(id.v) + " to follow " + std::to_string(l->id().v);
      if (m->seen()->applied_index() != best->applied_index())
        return "member " + std::to_string(id.v) + " to apply entry " + std::to_string(best->applied_index().v);
    }
    for (const auto* m : c_.running())
      if (!nemesis_.retired(m->id()) && m->status().leader != l->id())
        return "member " + std::to_string(m->id().v) + ", which is not of the group, to end";
    if (answered_before_ == registers_.answered()) return "writes and reads to be answered";
    return api_ ? api_->missing(*l->view()) : std::string{};
  }

  void converge() {
    auto& end = r_.log.end;
    nemesis_.heal();
    if (api_) api_->stop();
    end.healed = true;
    end.healed_at = w_.now();
    end.converge_within = o_.control_plane ? converge_with_control_plane : converge_alone;
    answered_before_ = registers_.answered();
    const auto until = w_.now() + end.converge_within;
    while (w_.now() < until && judge_.clean()) {
      pass(look_every);
      end.waits_for = missing();
      // Members are compared at rest: the clients pause until all of them have applied the same.
      if (registers_.answered() > answered_before_ + 20) registers_.stop();
      if (!end.waits_for.empty()) continue;
      end.converged_at = w_.now();
      break;
    }
    registers_.stop();
    pass(20s);
    for (const auto id : nemesis_.known_members())
      if (auto* m = c_.find(id); m && m->up())
        end.members.push_back(
            {id, m->status().serving, m->seen()->applied_index(), m->view()->rev(), m->seen()->state()});
  }

  void tell() {
    if (!o_.verbose) return;
    for (const auto& x : r_.log.roles)
      if (x.now == role_change::role::leader)
        std::printf("%10.3f  member %lu leads term %lu%s\n", seconds(x.when.at), x.member.v, x.term.v,
                    x.serving ? ", serving" : "");
    for (const auto& x : r_.log.changes)
      std::printf("%10.3f  entry %lu changes %s at revision %lu\n", seconds(x.when.at), x.index.v,
                  r_.log.names[x.key].c_str(), x.rev);
    for (; told_ < r_.log.faults.size(); ++told_)
      std::printf("%10.3f  %s\n", seconds(r_.log.faults[told_].when.at), r_.log.faults[told_].what.c_str());
  }
  void tell_operations() {
    static constexpr const char* fates[] = {"never answered", "done", "declined", "failed", "unknown"};
    for (const auto& x : r_.log.operations) {
      std::printf("client %lu at member %lu, unit %u: %.4f to %.4f %s %s", x.client, x.member.v, x.unit,
                  seconds(x.invoked.at), seconds(x.completed.at), x.what == operation::kind::write ? "write" : "read",
                  fates[static_cast<int>(x.result)]);
      for (const auto& c : x.compares)
        std::printf(" if %u=%lu", c.slot, c.value);
      for (const auto& c : x.puts)
        std::printf(" %u:=%lu", c.slot, c.value);
      for (const auto& c : x.seen)
        std::printf(" saw %u=%lu", c.slot, c.value);
      std::printf(" at revision %lu\n", x.seen_rev);
    }
  }
  static double seconds(instant t) { return std::chrono::duration<double>(t).count(); }

  const episode_options o_;
  world w_;
  recorder r_;
  cluster c_;
  nemesis nemesis_;
  registers registers_;
  watchers watchers_;
  std::optional<api_load> api_;
  running_judge judge_;
  std::uint64_t answered_before_ = 0;
  std::size_t told_ = 0;
};

} // namespace

episode_options options_of(std::uint64_t seed, unsigned masters) {
  chance c(seed, "options");
  episode_options o;
  o.seed = seed;
  const unsigned drawn = c.below(3) == 0 ? 5 : 3; // drawn in any case: what follows must not depend on the wish
  o.masters = masters != 0 ? masters : drawn;
  o.faults_for = c.between(instant(5min), instant(20min));
  o.control_plane = c.below(3) != 0;
  auto& n = o.nemesis;
  n.every = c.between(instant(2s), instant(20s));
  // Some runs leave out whole kinds of faults: what hides behind the noise of others comes to light.
  for (bool* kind : {&n.crashes, &n.pauses, &n.partitions, &n.bad_links, &n.disks, &n.corruption, &n.clocks,
                     &n.membership, &n.transfers})
    *kind = c.below(4) != 0;
  o.small_limits = c.below(2) == 0;
  o.lease_reads = !n.clocks && c.below(2) == 0;
  return o;
}

episode_result run_episode(const episode_options& o) { return run(o).go(); }

} // namespace troupe::sim
