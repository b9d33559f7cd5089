// Linearizable reads: callers of group_board::read_barrier wait here until the local view holds all that was
// acknowledged before they asked (thesis 6.4). Whoever comes while a question is under way shares the next one.
#include "actors/raft/limits.hpp"
#include "actors/raft/raft_state.hpp"
#include "store/mutations.hpp"

#include <caf/event_based_actor.hpp>

#include <algorithm>

namespace troupe {

void raft_state::on_readers() {
  if (counters_) counters_->touch(self_);
  auto readers = options_.group->take_readers();
  if (readers.empty()) return;
  if (!out_of_service_.empty() || closed_) {
    const auto why = errors::unavailable(closed_ ? "the store is stopping" : out_of_service_);
    for (auto& r : readers)
      r(why);
    return;
  }
  barrier b;
  b.readers = std::move(readers);
  b.since = now();
  barriers_.push_back(std::move(b));
  ask(barriers_.back());
  arm_patience();
}

void raft_state::ask(barrier& b) {
  b.id = next_read_++;
  b.asked = now();
  step(raft::read_index{b.id});
}

void raft_state::read_answered(const raft::read_result& r) {
  auto it = std::find_if(barriers_.begin(), barriers_.end(), [&](const barrier& b) { return b.id == r.id; });
  if (it == barriers_.end()) return;
  it->id = 0;
  if (r.ok) it->upto = r.index; // else it is asked again as soon as there is a leader
  if (r.ok) serve_barriers();
}

/// While a snapshot's install waits for the disk, the core counts it as applied, but the view is still the one before.
void raft_state::serve_barriers() {
  if (core_->installing()) return;
  const auto applied = core_->log().applied();
  for (auto it = barriers_.begin(); it != barriers_.end();) {
    if (!it->upto || (*it->upto > applied && !mutated(mutation::read_before_apply))) {
      ++it;
      continue;
    }
    auto readers = std::move(it->readers);
    it = barriers_.erase(it);
    for (auto& r : readers)
      r(status::none());
  }
}

status raft_state::late_read(const barrier& b) const {
  const auto me = "this master (member " + std::to_string(options_.member.v) + ")";
  auto why = no_leader();
  if (!b.upto)
    why.message = "the group of masters has no leader that could confirm this read; ask with resourceVersion=0 for "
                  "what this master knew last";
  else
    why.message = (stuck_on_ ? "the disk of " + me +
                                   " takes no writes, so it cannot follow the others: " + stuck_on_->message + "; ask"
                             : me + " has not caught up with the others in time; ask") +
                  " another master, or with resourceVersion=0 for what this one knew last";
  return why;
}

void raft_state::fail_late_barriers() {
  const auto t = now();
  for (std::size_t i = 0; i < barriers_.size();) {
    auto& b = barriers_[i];
    if (b.since + limits::read_patience <= t) {
      const auto why = late_read(b);
      auto readers = std::move(b.readers);
      barriers_.erase(barriers_.begin() + static_cast<std::ptrdiff_t>(i));
      for (auto& r : readers)
        r(why);
      continue;
    }
    const bool lost = b.id != 0 && b.asked + limits::read_repeat <= t;
    const auto before = barriers_.size();
    if (!b.upto && (b.id == 0 || lost) && core_->leader()) ask(b);
    if (barriers_.size() == before) ++i; // else it was answered at once and is gone
  }
}

} // namespace troupe
