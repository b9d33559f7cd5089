// Snapshots between members: the sender encodes an immutable view piece by piece, so that nothing stops for it; the
// receiver builds the state as the pieces come and swaps it in when the whole of it is durable.
#include "actors/raft/limits.hpp"
#include "actors/raft/raft_state.hpp"

#include <caf/event_based_actor.hpp>
#include <spdlog/spdlog.h>

namespace troupe {

namespace {
struct former_state {
  former_state(std::unique_ptr<store::state_machine> m, store::view_ptr v)
      : machine(std::move(m)), view(std::move(v)) {}
  std::unique_ptr<store::state_machine> machine;
  store::view_ptr view;
};
} // namespace

void raft_state::send_chunk(const raft::want_chunk& w) {
  auto it = outgoing_.find(w.to);
  const bool known = it != outgoing_.end() && w.of && it->second.meta.at == *w.of;
  if (!known) {
    const raft::snapshot_meta meta{mark_.at, mark_.config};
    outgoing_snapshot fresh{store::snapshot_writer({disk_->cluster_id(), mark_}, machine_->snapshot()), meta, now()};
    outgoing_.erase(w.to);
    it = outgoing_.emplace(w.to, std::move(fresh)).first;
    ++snapshots_sent_;
    log_->info("member {} is sent the whole state at index {}", w.to.v, meta.at.index.v);
  }
  auto& s = it->second;
  s.used = now();
  raft::chunk_read c;
  c.to = w.to;
  c.chunk.meta = s.meta;
  c.chunk.offset = known ? w.offset : 0;
  auto piece = s.writer.at(c.chunk.offset, limits::snapshot_chunk_bytes);
  c.chunk.data = std::move(piece.bytes);
  c.chunk.last = piece.last;
  step(std::move(c));
}

void raft_state::forget_idle_snapshots() {
  std::erase_if(outgoing_, [&](const auto& s) { return s.second.used + limits::snapshot_idle_max <= now(); });
}

void raft_state::take_chunks(const std::vector<raft::snapshot_chunk>& chunks) {
  for (const auto& c : chunks) {
    if (c.offset == 0) incoming_.emplace(incoming_snapshot{c.meta, {}, std::make_shared<store::snapshot_image>()});
    if (!incoming_ || incoming_->meta != c.meta || !c.data) continue;
    if (auto taken = incoming_->reader.take(*c.data); !taken) {
      // The link is checked by TLS: what arrives damaged was damaged at the sender, or here in memory.
      log_->critical("a snapshot from the leader is damaged: {}; this member stops", taken.error().message);
      self_->quit(caf::exit_reason::unhandled_exception);
      return;
    }
    incoming_->image->push_back(c.data);
  }
}

/// The state the snapshot replaces is not written any more; from here on the mark is the snapshot's.
void raft_state::prepare_install(const raft::snapshot_meta& meta, write_job& job) {
  if (!incoming_ || incoming_->meta != meta || !incoming_->reader.complete()) {
    log_->critical("the snapshot at index {} ended without being whole; this member stops", meta.at.index.v);
    self_->quit(caf::exit_reason::unhandled_exception);
    return;
  }
  arriving_ = incoming_->reader.finish();
  unsaved_.clear();
  log_bytes_ = 0;
  mark_ = {meta.at, arriving_->rev(), meta.config};
  job.group.install = std::move(incoming_->image);
  job.group.applied = mark_;
  incoming_.reset();
  // Writes of ours may be among what was skipped: nobody can tell.
  for (auto number : ledger_.sent_up_to(meta.at.term))
    refuse(number,
           errors::timeout("this master was behind and skipped the entry that would tell whether the write took "
                           "effect: read before you try again"));
}

void raft_state::installed() {
  if (!arriving_) return;
  auto former = std::make_shared<former_state>(std::move(machine_), published_->current());
  machine_ = std::move(arriving_);
  ++snapshots_taken_;
  published_->set(machine_->snapshot());
  if (options_.on_installed) options_.on_installed(mark_, *machine_->snapshot());
  hub_->start(machine_->rev(), machine_->rev()); // what lies between is unknown here: watchers behind it are told 410
  log_->info("took the whole state at index {}, revision {}", mark_.at.index.v, machine_->rev());
  // Letting go of a large state takes longer than a thread of the links may stand still.
  if (options_.threads)
    self_->spawn<caf::linked + caf::detached>(
        [former = std::move(former)](caf::event_based_actor*) mutable { former.reset(); });
}

} // namespace troupe
