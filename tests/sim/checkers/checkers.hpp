// checkers: all properties that a run must keep, and the judge that asks every one of them.
// Owner:  the test or the simulation's runner.
// Units:  -
// Errors: judge::verdicts() is empty when everything holds.
// Source: ours. Each property is a file of its own, named like its function here.
#pragma once

#include "tests/sim/checkers/checker.hpp"

#include <memory>
#include <vector>

namespace troupe::sim {

/// At most one member leads in a term, and one life of it only (thesis 3.4).
std::unique_ptr<checker> election_safety();
/// Entries of one index and term are the same on all disks, and so is all before them (thesis 3.5).
std::unique_ptr<checker> log_matching();
/// What is committed is in the log of every later leader, and no member replaces what it applied (thesis 3.6).
std::unique_ptr<checker> leader_completeness();
/// All members apply the same entries in the same order, each once in a life, and hold the same state (thesis 3.6.3).
std::unique_ptr<checker> state_equality();
/// Reads, writes and compare-and-set of a unit fit one order that respects real time.
std::unique_ptr<checker> linearizability();
/// That order is the revisions': nothing is answered from before what was already answered, in any unit.
std::unique_ptr<checker> revision_order();
/// A watcher gets every change of its table, in order, once, whole transactions, and no bookmark lies.
std::unique_ptr<checker> watch_guarantees();
/// Every write that was acknowledged is in what the members hold in the end.
std::unique_ptr<checker> no_lost_writes();
/// A write that was fenced for a term changes nothing in another.
std::unique_ptr<checker> fencing();
/// After healing one leader remains and all members agree, within bounded time.
std::unique_ptr<checker> convergence();

/// Nothing is applied before a majority stored it by the rule for entries of former terms (thesis 3.6.2). Only for runs
/// without membership changes and failing writes, and so not one of all_checkers.
std::unique_ptr<checker> commit_rule(std::size_t voters, instant write_max);

std::vector<std::unique_ptr<checker>> all_checkers();

class judge {
public:
  judge() : judge(all_checkers()) {}
  explicit judge(std::vector<std::unique_ptr<checker>> checkers) : checkers_(std::move(checkers)) {}

  /// Looks at what was recorded since the last call. The lists may be emptied afterwards, when forget() is called.
  void read(const history& h);
  /// Says that the lists that were read begin anew (operations excepted).
  void forget() { at_ = {}; }
  /// Reads the rest and asks for the verdicts that need the whole run.
  void finish(const history& h);

  /// At most one per property.
  std::vector<violation> verdicts() const;
  bool clean() const { return verdicts().empty(); }

private:
  struct places {
    std::size_t stored = 0, applied = 0, adopted = 0, roles = 0, claims = 0, changes = 0, acks = 0, watches = 0;
  };
  std::vector<std::unique_ptr<checker>> checkers_;
  places at_;
};

/// The whole of a finished run.
std::vector<violation> judged(const history& h);

} // namespace troupe::sim
