// history_file: reads what the harness of real processes recorded into a history that the checkers can judge.
// Owner:  history_check.
// Units:  times are nanoseconds of one monotonic clock of one machine.
// Errors: a sentence with the number of the line that cannot be read.
// Source: ours.
//
// One JSON object per line; unknown members are ignored; null, false or missing mean "absent".
//
// An operation on one key (keys are independent registers; a value must never be written twice to a key):
//   {"op":"get","key":"ns/a","value":"v1","start_ns":1,"end_ns":2,"outcome":"ok","client":3}
//   op       get | put | create (expects absence) | cas (expects "expected") | delete
//   value    what was written, or what a get read (null: the key did not exist)
//   expected cas: the value that had to be there; delete: likewise, when given
//   outcome  ok | fail (certain not to have happened) | differs (another value was there, "found" when known)
//            | unknown (may have happened). A get that is not ok says nothing.
//   end_ns   missing or 0: never answered
//   rev      the revision that a write was told (resourceVersion of the answer); leave it out of a get of one object
//
// A step of a watcher, in the order of its delivery:
//   {"watcher":"w1","rev":12,"key":"ns/a","type":"MODIFIED","value":"v1"}
//   type     ADDED | MODIFIED | DELETED ("value" then may be missing)
//            | LISTED (a list was taken: everything up to rev is known) | BOOKMARK | RESUMED (asked again for what
//            follows rev) | EXPIRED (410; LISTED must follow)
//   table    when a watcher does not watch all keys; watchers of one table see the same
// A watcher that does not begin with LISTED began just before its first event.
#pragma once

#include "tests/sim/history.hpp"

#include <istream>
#include <map>
#include <string>
#include <vector>

namespace troupe::sim {

struct recorded_run {
  history h;
  std::map<std::uint64_t, std::size_t> line_of; // record's order -> line
  std::vector<std::string> lines;               // from 0
  std::size_t operations = 0, unknown = 0, watchers = 0, events = 0;
  std::string error; // not empty: the file cannot be used
  /// What the file alone shows: two watchers that were given different things, a write that watchers missed.
  std::vector<violation> found;
};

recorded_run read_history(std::istream& in);

/// Every checker that a file can feed; at most one violation per property.
std::vector<violation> judged(const recorded_run& run);

/// The lines of the file that the sentence of a violation speaks of.
std::vector<std::size_t> lines_in(const recorded_run& run, const violation& v);

} // namespace troupe::sim
