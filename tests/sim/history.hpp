// history: everything observable of one simulated run, in the order it happened, for the checkers to judge afterwards.
// Owner:  one world, while it runs; plain values that only grow. The checkers read them; tests may write them by hand.
// Units:  `at` is virtual nanoseconds since the start of the run. `order` numbers all records of all lists together,
//         from 1: of two records the one with the smaller order happened first, also at the same instant.
// Errors: -
// Source: ours.
//
// Two views of the same store are recorded. Registers: keys of the table "sim", grouped into units of a few slots; an
// operation compares and puts slots of one unit atomically, so units can be checked for linearizability one by one.
// Values are unique numbers, 0 means "absent". Objects: everything, the API's included, as changes by revision.
#pragma once

#include "store/log_entry.hpp"
#include "store/watch_hub.hpp"

#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::sim {

using instant = std::chrono::nanoseconds;
using member_id = store::member_id;
using store::log_index;
using store::log_term;
using store::revision;

struct stamp {
  instant at{0};
  std::uint64_t order = 0;
};

// ---------------------------------------------------------------- operations on registers

enum class outcome : std::uint8_t {
  pending,  // never answered: may have happened, or may happen at any later time
  done,     // it happened, between invoked and completed; results are valid
  declined, // a compare did not hold, at some time between invoked and completed: nothing changed
  failed,   // certain not to have happened, and not to happen later
  unknown,  // answered, but its fate is not known: like pending
};

struct slot_value {
  std::uint32_t slot = 0;
  std::uint64_t value = 0; // 0: absent
  friend bool operator==(const slot_value&, const slot_value&) = default;
};

/// A read has neither compares nor puts. A write happens only if all compares hold.
struct operation {
  enum class kind : std::uint8_t {
    read,       // linearizable
    stale_read, // of what the member has now; valid against `seen_rev` only
    write,
  } what = kind::read;
  std::uint64_t client = 0; // does one operation after the other
  member_id member;         // who was asked
  std::uint32_t unit = 0;
  std::vector<slot_value> compares; // slot holds this value
  std::vector<slot_value> puts;     // value 0: erase
  stamp invoked, completed;         // completed.order 0: never
  outcome result = outcome::pending;
  std::vector<slot_value> seen; // reads: all slots of the unit. declined: the first slot that differed, and its value
  revision seen_rev = 0;        // reads: revision of the view. write done: revision of the write (0: changed nothing)
};

// ---------------------------------------------------------------- the log, member by member

/// Entry `index` became durable on a member; what it had stored from there on is replaced.
struct stored_entry {
  stamp when;
  member_id member;
  std::uint32_t life = 0;
  log_index index;
  log_term term;
  store::entry_kind kind = store::entry_kind::nothing;
  std::uint64_t payload = 0; // hash
};

/// A member applied an entry.
struct applied_entry {
  stamp when;
  member_id member;
  std::uint32_t life = 0; // counts the member's starts, from 1
  log_index index;
  log_term term;
  store::entry_kind kind = store::entry_kind::nothing;
  std::uint64_t payload = 0; // hash
  revision rev = 0;          // after it
  std::uint64_t state = 0;   // hash of all objects after it
  std::uint64_t fence = 0;   // the only term in which it may change anything; 0: any
};

/// A member started (with what its disk gave back) or replaced its state by a snapshot.
struct state_adopted {
  stamp when;
  member_id member;
  std::uint32_t life = 0;
  bool snapshot = false;
  log_index index; // applied with it
  log_term term;
  revision rev = 0;
  std::uint64_t state = 0; // 0: not known yet, a second record follows
  bool damaged = false;    // the disk said so
};

struct member_stopped {
  stamp when;
  member_id member;
  std::uint32_t life = 0;
};

/// What a member says of itself, whenever that changes.
struct role_change {
  stamp when;
  member_id member;
  std::uint32_t life = 0;
  enum class role : std::uint8_t { follower, pre_candidate, candidate, leader } now = role::follower;
  log_term term;
  member_id leader; // whom it follows; 0: nobody
  bool serving = false;
};

/// First message seen on the network by which `member` acts as leader of `term`.
struct leader_claim {
  stamp when;
  member_id member;
  log_term term;
};

// ---------------------------------------------------------------- objects

/// One object written or deleted, as the first member that applied it saw it. Ascending revisions.
struct change {
  stamp when;
  revision rev = 0;
  log_index index;
  std::uint32_t table = 0, key = 0; // names of history::names; a key is "table/namespace/name"
  store::event_type what = store::event_type::added;
  std::uint64_t content = 0; // hash of the object's bytes (deleted: of the last state with the deletion's revision)
};

/// A client was told that its write happened.
struct acknowledged {
  stamp when;
  member_id member;
  std::uint64_t client = 0;
  std::uint32_t key = 0;
  revision rev = 0;
  bool erased = false;
  std::uint64_t content = 0; // hash of the bytes that came back; 0: none came back
};

// ---------------------------------------------------------------- watches

/// One step of a watcher. A watcher follows one table; it begins with a `list` (it knows everything up to `rev`), is
/// given events and bookmarks, and may go on at another member from its last revision (`resumed`).
struct watch_step {
  enum class kind : std::uint8_t {
    listed,   // knows the state as of `rev`
    event,    // `rev`, `key`, `what`, `content`
    bookmark, // everything up to `rev` was delivered
    resumed,  // asks `member` for everything after `rev`
    too_old,  // was told that `rev` is forgotten; `listed` follows
  } what = kind::listed;
  stamp when;
  std::uint32_t watcher = 0;
  member_id member;
  std::uint32_t table = 0;
  revision rev = 0;
  std::uint32_t key = 0;
  store::event_type type = store::event_type::added;
  std::uint64_t content = 0;
  std::uint32_t batch = 0; // events of one pull have the same number
};

// ---------------------------------------------------------------- faults, the end

struct fault {
  stamp when;
  std::string what; // "crash 2 before write", "cut 1 -> 3"
};

/// What a member holds when the run is over and the group has had its time to heal.
struct final_state {
  member_id member;
  bool leads = false;
  log_index index;
  revision rev = 0;
  std::uint64_t state = 0;
};

struct ending {
  bool healed = false; // the phase without faults was reached
  instant healed_at{0};
  std::optional<instant> converged_at; // empty: never
  instant converge_within{0};
  std::string waits_for; // what was still missing when the time was over
  std::vector<final_state> members;
};

struct history {
  std::vector<operation> operations;
  std::vector<stored_entry> stored;
  std::vector<applied_entry> applied;
  std::vector<state_adopted> adopted;
  std::vector<member_stopped> stopped;
  std::vector<role_change> roles;
  std::vector<leader_claim> claims;
  std::vector<change> changes;
  std::vector<acknowledged> acks;
  std::vector<watch_step> watches;
  std::vector<fault> faults;
  ending end;

  std::vector<std::string> names{""}; // 0: none
  std::map<std::string, std::uint32_t, std::less<>> name_ids;

  std::uint32_t name(std::string_view text) {
    if (auto it = name_ids.find(text); it != name_ids.end()) return it->second;
    const auto id = static_cast<std::uint32_t>(names.size());
    names.emplace_back(text);
    name_ids.emplace(names.back(), id);
    return id;
  }
};

/// A property that does not hold: which one, and a sentence with the members, terms, keys, revisions and times.
struct violation {
  std::string property; // "election safety"
  std::string what;
};

/// For contents and payloads: eight bytes at a time.
inline std::uint64_t hash_of(std::string_view bytes, std::uint64_t h = 1469598103934665603ull) {
  const auto mix = [&](std::uint64_t w) {
    h = (h ^ w) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 32;
  };
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t w = 0;
    std::memcpy(&w, bytes.data() + i, 8);
    mix(w);
  }
  std::uint64_t tail = bytes.size();
  for (; i < bytes.size(); ++i)
    tail = tail << 8 | static_cast<unsigned char>(bytes[i]);
  mix(tail);
  return h;
}

} // namespace troupe::sim
