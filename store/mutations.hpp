// mutations: planted bugs, by which the simulation's checkers are tested. In the product mutated() is constant false
// and
//            the compiler removes every hook; sources built with TROUPE_MUTATIONS run with the one bug that is active.
// Owner:  tests/sim/mutations_test sets the active one, before the simulation starts; one thread.
// Units:  -
// Errors: -
// Source: issue 3, "planted bugs". A checker that catches none of them is a defect.
//
// A hook is one line at the exact place of the bug and changes one decision; nothing else may depend on mutated().
#pragma once

#include <cstdint>

namespace troupe {

enum class mutation : std::uint8_t {
  none,
  // Elections and votes.
  forget_vote,        // the vote is not persisted: after a restart the member votes again in the same term
  vote_for_stale_log, // a vote for a candidate whose log lacks entries
  recovering_votes,   // a member whose damaged disk forgot entries takes part in elections
  learners_count,     // learners count towards the majority of a commit
  half_is_majority,   // 2 of 4 commit
  skip_joint,         // several members are changed in one step
  stale_config,       // a truncated membership change stays in force
  // Log and commit.
  count_prior_term,    // an entry of a former term is committed by counting copies
  commit_alone,        // the leader commits what only it holds
  reply_before_sync,   // votes and appends are acknowledged before they are durable
  count_held,          // what a follower holds only in memory counts as durable there
  append_unchecked,    // the entry before the new ones is not compared
  truncate_always,     // an append cuts off what follows it, though it agrees
  heartbeat_commits,   // a heartbeat names a commit index beyond what the follower is known to hold
  snapshot_keeps_tail, // an installed snapshot leaves entries of the replaced log behind it
  apply_twice,         // after a restart, entries that the durable state covers are applied again
  // Reads.
  read_without_round, // a linearizable read does not ask whether we still lead
  read_before_apply,  // a linearizable read does not wait until its index is applied
  stale_lease,        // a lease outlives the followers' patience
  // Writes and store.
  skip_fence,     // a write fenced for a former term is applied
  skip_compare,   // a compare that does not hold stops nothing
  repropose_open, // a write whose fate is open is proposed again
  // Watches.
  forget_silently, // the window forgets events and does not say so to late cursors
  split_revision,  // a pull ends in the middle of a transaction
  repeat_event,    // a pull begins with the event at the cursor
  bookmark_ahead,  // a pull that has more to give says that everything was given
};

#ifdef TROUPE_MUTATIONS
inline mutation active_mutation = mutation::none;
inline bool mutated(mutation m) { return active_mutation == m; }
#else
constexpr bool mutated(mutation) { return false; }
#endif

} // namespace troupe
