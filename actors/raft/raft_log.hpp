// raft_log: the part of the log that is held in memory, and which of it is durable, handed out, committed, applied.
// Owner:  raft_core.
// Units:  entries (base, last]; base is the entry the state machine's durable state already covers.
// Errors: term_at() is empty for what was compacted away or never existed.
// Source: Raft thesis 3.5, 5.1.
//
//   base     applied    commit      stable     handed      last
//    | forgotten | can be forgotten | ... durable | being written | waits for the next persist
// commit and stable move independently on a follower; apply stops at the smaller one, or, where the disk refuses
// writes, goes ahead of stable up to commit.
#pragma once

#include "actors/raft/raft_types.hpp"
#include "store/mutations.hpp"

#include <algorithm>
#include <deque>

namespace troupe::raft {

class raft_log {
public:
  raft_log() = default;
  raft_log(log_position base, std::vector<log_entry> entries, log_index commit, log_index applied)
      : base_(base), entries_(entries.begin(), entries.end()), stable_(last().index), handed_(stable_),
        commit_(std::clamp(commit, applied, stable_)), applied_(applied) {}

  log_position base() const { return base_; }
  log_position last() const {
    return entries_.empty() ? base_ : log_position{entries_.back().index, entries_.back().term};
  }
  log_index stable() const { return stable_; }
  log_index handed() const { return handed_; }
  log_index commit() const { return commit_; }
  log_index applied() const { return applied_; }

  std::optional<log_term> term_at(log_index i) const {
    if (i == base_.index) return base_.term;
    if (i < base_.index || i > last().index) return std::nullopt;
    return at(i).term;
  }
  bool holds(log_position p) const { return term_at(p.index) == p.term; }
  const log_entry& at(log_index i) const { return entries_[i.v - base_.index.v - 1]; }

  void append(log_entry e) { entries_.push_back(std::move(e)); }
  /// Removes everything from `first` on. What was being written of it no longer counts when the write ends.
  void truncate(log_index first) {
    entries_.resize(first.v - base_.index.v - 1);
    stable_ = std::min(stable_, first.prev());
    handed_ = std::min(handed_, first.prev());
  }
  bool commit_to(log_index i) {
    if (i <= commit_) return false;
    commit_ = i;
    return true;
  }

  /// Entries that no persist was handed yet, bounded.
  std::vector<log_entry> hand_out(std::size_t entries_max, std::size_t bytes_max) {
    std::vector<log_entry> out;
    std::size_t bytes = 0;
    for (auto i = handed_.next(); i <= last().index && out.size() < entries_max && bytes < bytes_max; i = i.next()) {
      out.push_back(at(i));
      bytes += out.back().bytes();
      handed_ = i;
    }
    return out;
  }
  bool all_handed() const { return handed_ == last().index; }
  void written() { stable_ = std::max(stable_, handed_); }
  void write_failed() { handed_ = stable_; }

  std::vector<log_entry> take_applicable(bool ahead_of_disk) {
    std::vector<log_entry> out;
    const auto end = ahead_of_disk ? commit_ : std::min(commit_, stable_);
    for (auto i = applied_.next(); i <= end; i = i.next())
      out.push_back(at(i));
    if (!out.empty()) applied_ = end;
    return out;
  }

  void compact(log_index upto) {
    upto = std::min({upto, applied_, stable_});
    while (!entries_.empty() && entries_.front().index <= upto) {
      base_ = {entries_.front().index, entries_.front().term};
      entries_.pop_front();
    }
  }
  void reset_to(log_position snapshot) {
    while (!entries_.empty() && (entries_.front().index <= snapshot.index || !mutated(mutation::snapshot_keeps_tail)))
      entries_.pop_front();
    base_ = snapshot;
    stable_ = handed_ = commit_ = applied_ = snapshot.index;
  }

private:
  log_position base_;
  std::deque<log_entry> entries_;
  log_index stable_; // durable up to here
  log_index handed_; // given to persist up to here
  log_index commit_;
  log_index applied_; // given to apply up to here
};

} // namespace troupe::raft
