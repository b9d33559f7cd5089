// log_entry: ids, terms and indexes of the replicated log, and one record of it.
// Owner:  nobody; plain values. Payloads are immutable and shared between log, network and apply.
// Units:  indexes start at 1; 0 means "before the first".
// Errors: -
// Source: Raft thesis 3.5; ours: tagged integers, so that a term never passes for an index.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace troupe::store {

template <class Tag>
struct tagged {
  std::uint64_t v = 0;
  constexpr tagged() = default;
  constexpr explicit tagged(std::uint64_t x) : v(x) {}
  friend constexpr auto operator<=>(const tagged&, const tagged&) = default;
  constexpr explicit operator bool() const { return v != 0; }
  constexpr tagged next() const { return tagged{v + 1}; }
  constexpr tagged prev() const { return tagged{v - 1}; }
};

using log_index = tagged<struct log_index_tag>;
using log_term = tagged<struct log_term_tag>;
using member_id = tagged<struct member_id_tag>;

struct log_position {
  log_index index;
  log_term term;
  friend auto operator<=>(const log_position&, const log_position&) = default;
};

enum class entry_kind : std::uint8_t {
  nothing = 0, // the first entry of a leader's term
  change = 1,  // an encoded txn
  members = 2, // an encoded membership change
  check = 3,   // every member reports the hash of its state as of here
};

struct log_entry {
  log_index index;
  log_term term;
  entry_kind kind = entry_kind::nothing;
  std::shared_ptr<const std::string> payload; // null: empty

  std::size_t bytes() const { return (payload ? payload->size() : 0) + 24; }
  friend bool operator==(const log_entry& a, const log_entry& b) {
    return a.index == b.index && a.term == b.term && a.kind == b.kind &&
           (a.payload ? *a.payload : std::string{}) == (b.payload ? *b.payload : std::string{});
  }
};

/// Who belongs to the group. `outgoing` is not empty while the group is in joint consensus.
struct group_config {
  std::vector<member_id> voters;        // sorted; the incoming majority
  std::vector<member_id> outgoing;      // sorted; the majority that is being left
  std::vector<member_id> learners;      // sorted; receive entries, do not vote
  std::vector<member_id> learners_next; // voters of `outgoing` that become learners when the joint phase ends
  bool auto_leave = false;
  friend bool operator==(const group_config&, const group_config&) = default;
};

/// What must be on disk before a member answers in a term. `commit` rides along with entries, so that a restarted
/// member applies at once what it knew to be committed.
struct hard_state {
  log_term term;
  member_id vote;
  log_index commit;
  friend bool operator==(const hard_state&, const hard_state&) = default;
};

} // namespace troupe::store
