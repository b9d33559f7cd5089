// write_ledger: what became of each proposal of this member: pure bookkeeping that knows when a write certainly did
//               not happen (and may be proposed again) and when its fate is open.
// Owner:  the Raft actor.
// Units:  at most limits::pending_txns_max proposals.
// Errors: every proposal ends exactly once: applied, refused, or unknown (504) after limits::fate_patience.
// Source: ours; decision 0005.
//
// A proposal made or forwarded in term T can only be committed as an entry of term T, because a leader of any other
// term refuses it. Entries of term T precede those of later terms in every log. So when this member has applied an
// entry of a later term and has not met the proposal's id, it did not happen: it goes out again, exactly once.
// Rejected: a table of applied ids in the state machine (it would have to be part of snapshots, and bounded).
#pragma once

#include "actors/raft/parcel.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

namespace troupe::raft {

/// The payload of a write entry: its id, then the encoded transaction.
std::string frame_write(write_id id, std::string_view txn);
/// Splits it; false when it is too short. `txn` points into `payload`.
bool split_write(std::string_view payload, write_id& id, std::string_view& txn);

class write_ledger {
public:
  explicit write_ledger(std::uint64_t life) : life_(life) {}

  /// A new proposal; it waits until take_ready hands it out.
  write_id add(std::string_view txn, instant now);
  /// All that wait, as payloads; from now on they count as sent in `term`, with `batch` (0: into the own log).
  std::vector<bytes_ptr> take_ready(log_term term, std::uint64_t batch, std::size_t count_max, std::size_t bytes_max);
  std::uint64_t life() const noexcept { return life_; }
  bool ready() const noexcept { return !ready_.empty(); }
  std::size_t waiting() const noexcept { return ready_.size(); }
  std::size_t size() const noexcept { return open_.size(); }

  /// An entry was applied: the number of ours if it was one of ours and still open; it is forgotten here.
  std::optional<std::uint64_t> applied(write_id id);
  /// An entry of `term` was applied: what was sent in an earlier term and is still open did not happen: it waits again.
  void term_applied(log_term term);
  /// Certain not to be appended in `term` by that batch: those of them that were sent with no later one wait again; the
  /// numbers of these.
  std::vector<std::uint64_t> refused(const std::vector<write_id>& ids, log_term term, std::uint64_t batch);
  /// Those sent in `term` or before: of unknown fate when entries up to it were skipped by a snapshot, and certain not
  /// to have happened when a group of one could not write them.
  std::vector<std::uint64_t> sent_up_to(log_term term) const;
  /// Gives up `number`.
  void drop(std::uint64_t number);

  struct late {
    std::uint64_t number = 0;
    bool sent = false; // its fate is unknown; otherwise it certainly did not happen
  };
  /// Those that have waited since before `ready_since` without being sent, or since before `sent_since` at all.
  std::vector<late> overdue(instant ready_since, instant sent_since) const;

private:
  struct entry {
    bytes_ptr payload;
    instant since{0};
    log_term sent; // 0: waits
    std::uint64_t batch = 0;
  };
  std::vector<std::uint64_t> wait_again(const std::function<bool(std::uint64_t, const entry&)>& which);

  std::uint64_t life_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, entry> open_;
  std::deque<std::uint64_t> ready_; // numbers that wait, oldest first; may name what is gone
  log_term applied_term_;
};

/// Which forwarded batches a member has met, so that a repeated parcel changes nothing. Bounded: of each life the
/// newest numbers are told apart; what is older than all of those counts as met.
class met_batches {
public:
  /// True the first time.
  bool first(write_id batch);

private:
  static constexpr std::size_t lives_max = 256, numbers_max = 1024;
  struct of_life {
    std::uint64_t upto = 0; // all up to this one count as met
    std::set<std::uint64_t> beyond;
    std::uint64_t used = 0;
  };
  std::map<std::uint64_t, of_life> lives_;
  std::uint64_t clock_ = 0;
};

} // namespace troupe::raft
