// tracker: what a leader knows of one member: how far its log agrees, and how much may be under way to it.
// Owner:  raft_core, while it leads.
// Units:  at most `inflight_max` append messages without an answer.
// Errors: -
// Source: etcd raft tracker; Raft thesis 10.2.1 (pipelining).
//
// probe: one message, then wait (the next index is a guess). replicate: optimistic, a window of messages.
// snapshot: entries it needs are gone; nothing is sent but chunks until it reports the snapshot's index.
#pragma once

#include "actors/raft/raft_types.hpp"

#include <deque>

namespace troupe::raft {

struct progress {
  enum class mode : std::uint8_t { probe, replicate, snapshot };

  mode how = mode::probe;
  log_index match; // durable there
  log_index next{1};
  bool paused = false;            // probe: a message is out
  std::deque<log_index> inflight; // replicate: last index of each message that is out
  instant last_contact{0};
  bool contacted = false;
  std::uint64_t acked_round = 0;
  log_index told;   // the commit index it was sent last
  log_index awaits; // the last entry that it proposed through us
  // snapshot
  std::optional<log_position> snapshot;
  std::uint64_t snapshot_offset = 0;
  instant snapshot_activity{0};

  void become_probe(log_index from) {
    how = mode::probe;
    paused = false;
    inflight.clear();
    snapshot.reset();
    next = std::max(from, match.next());
  }
  void become_replicate() {
    how = mode::replicate;
    paused = false;
    inflight.clear();
    snapshot.reset();
    next = match.next();
  }
  void become_snapshot(instant now) {
    how = mode::snapshot;
    paused = false;
    inflight.clear();
    snapshot.reset();
    snapshot_offset = 0;
    snapshot_activity = now;
  }
  bool blocked(std::size_t inflight_max) const {
    if (how == mode::snapshot) return true;
    return how == mode::probe ? paused : inflight.size() >= inflight_max;
  }
  void freed(log_index upto) {
    while (!inflight.empty() && inflight.front() <= upto)
      inflight.pop_front();
  }
};

} // namespace troupe::raft
