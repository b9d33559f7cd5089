// What the Raft actor does beside its work: moves objects to disk, forgets what is old, and compares state hashes.
#include "actors/raft/limits.hpp"
#include "actors/raft/raft_state.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <fstream>
#include <malloc.h>
#include <thread>

/// Of gperftools; absent where a sanitizer brings its own allocator.
extern "C" [[gnu::weak]] void MallocExtension_ReleaseFreeMemory();

namespace troupe {

using store::log_index;
using store::member_id;

// ---------------------------------------------------------------- log

/// What members that answered lately have not got yet stays, up to a bound; who is further behind gets a snapshot.
log_index raft_state::needed_by_others() const {
  auto least = log_index{~0ull};
  if (core_->role_now() != raft::role::leader) return least;
  for (const auto& [id, p] : core_->members()) {
    if (id == options_.member || now() - p.last_contact > limits::snapshot_idle_max) continue;
    least = std::min(least, p.how == raft::progress::mode::snapshot && p.snapshot ? p.snapshot->index : p.match);
  }
  return least;
}

/// The log is only needed behind the objects' durable state; this group makes `mark_` durable.
void raft_state::trim_log(store::write_group& g) {
  const auto& log = core_->log();
  const auto base = log.base().index;
  if (mark_.at.index <= base) return;
  if (mark_.at.index.v - base.v < options_.log_entries_max && log_bytes_ < limits::log_bytes_max) return;
  const auto behind = options_.log_entries_max / 2;
  auto cut = log_bytes_ >= limits::log_bytes_max
                 ? mark_.at.index
                 : log_index{mark_.at.index.v - std::min<std::uint64_t>(behind, mark_.at.index.v - base.v)};
  if (log_bytes_ < limits::lagging_bytes_max) cut = std::min(cut, needed_by_others());
  const auto term = log.term_at(cut);
  if (cut <= base || !term) return;
  log_bytes_ = 0;
  g.drop_log_to = store::log_position{cut, *term};
}

// ---------------------------------------------------------------- objects and versions

namespace {

/// Old versions lay between live ones: the allocator keeps their pages until told. It holds its locks while it looks
/// through the heap, so a large one, where this would stop writers and where it matters least, is left alone.
void give_back_memory() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, resident_pages = 0;
  if (!(statm >> total >> resident_pages) || resident_pages >= limits::trimmed_pages_max) return;
  if (MallocExtension_ReleaseFreeMemory)
    MallocExtension_ReleaseFreeMemory();
  else
    ::malloc_trim(0);
}

} // namespace

void raft_state::arm_maintenance() {
  if (maintenance_armed_ || closing_) return;
  maintenance_armed_ = true;
  const auto every =
      std::clamp<raft::duration>(options_.retention / 4, std::chrono::milliseconds(100), limits::maintain_every_max);
  self_->delayed_send(self_, every, maintain_tick::value);
}

void raft_state::flush_unsaved(bool close) {
  auto job = std::make_shared<write_job>();
  // The objects of an arriving snapshot are on their way already; what is ahead of the log on disk must not reach it.
  if (!arriving_ && mark_.at.index <= core_->log().stable()) {
    job->group.changes = std::exchange(unsaved_, {});
    job->group.applied = mark_;
    owed_entries_ = owed_bytes_ = 0;
  }
  job->close = close;
  flush_out_ = true;
  send_job(std::move(job));
}

/// Runs while there is something to forget; an idle store with nothing old arms no timer.
void raft_state::on_maintain() {
  maintenance_armed_ = false;
  if (closing_) return;
  forget_idle_snapshots();
  if (!unsaved_.empty() && !flush_out_ && !failed_job_ && ledger_.size() == 0) flush_unsaved(false);
  samples_.emplace_back(now(), machine_->rev());
  store::revision target = 0;
  while (!samples_.empty() && samples_.front().first + options_.retention <= now()) {
    target = samples_.front().second;
    samples_.pop_front();
  }
  target = std::min(target, saved_rev_); // the history of what is not on disk yet cannot be compacted
  auto compact = [disk = disk_, log = log_, target, pause = options_.threads] {
    for (;;) {
      auto more = disk->compact(target);
      if (!more) log->error("{}", more.error().message);
      if (!more || !*more) break;
      if (pause) std::this_thread::sleep_for(limits::compaction_pause); // writers come first
    }
    give_back_memory();
  };
  if (target > disk_->horizon()) {
    if (options_.threads)
      self_->spawn<caf::linked + caf::detached>([compact](caf::event_based_actor*) { compact(); });
    else
      compact();
  }
  if (machine_->rev() > disk_->horizon() || !unsaved_.empty() || !outgoing_.empty()) arm_maintenance();
}

// ---------------------------------------------------------------- state hashes

/// On a schedule the leader asks all members for the hash of their state as of one entry. Nothing new, nothing to ask.
void raft_state::on_check() {
  self_->delayed_send(self_, options_.timing.check_every, check_tick::value);
  if (core_->role_now() != raft::role::leader || alone() || machine_->rev() == checked_rev_) return;
  checked_rev_ = machine_->rev();
  step(raft::propose_check{});
}

void raft_state::begin_check(log_index at) {
  if (core_->role_now() == raft::role::leader) check_ = open_check{at, {}};
  auto view = machine_->snapshot();
  const auto me = raft_inner_actor(self_);
  auto work = [view = std::move(view), me, at] { caf::anon_send(me, hash_found::value, at.v, view->hash()); };
  if (options_.threads)
    self_->spawn<caf::linked + caf::detached>([work = std::move(work)](caf::event_based_actor*) { work(); });
  else
    work();
}

void raft_state::on_hash(log_index at, std::uint64_t hash) {
  if (check_ && check_->at == at) {
    check_->hashes[options_.member] = hash;
    compare_hashes();
  } else if (core_->leader() && core_->leader() != options_.member && options_.transport) {
    parcel_to(core_->leader()).hashes.push_back({at, hash});
  }
}

/// A majority of equal hashes condemns whoever differs. Without one nobody can say who is right.
void raft_state::compare_hashes() {
  if (!check_) return;
  std::map<std::uint64_t, std::vector<member_id>> by_hash;
  for (const auto& [id, h] : check_->hashes)
    by_hash[h].push_back(id);
  const auto members = raft::all_members(core_->config()).size();
  auto right =
      std::find_if(by_hash.begin(), by_hash.end(), [&](const auto& g) { return g.second.size() * 2 > members; });
  if (right == by_hash.end()) {
    if (by_hash.size() > 1 && check_->hashes.size() == members)
      log_->critical("the members' states differ at index {} and no majority agrees: restore from a backup",
                     check_->at.v);
    return;
  }
  for (auto& [hash, ids] : by_hash) {
    if (hash == right->first) continue;
    for (auto id : ids) {
      const raft::diverged v{check_->at, right->first, hash};
      check_->hashes.erase(id); // told once
      if (id == options_.member) return take_verdict(v);
      parcel_to(id).verdicts.push_back(v);
    }
  }
  if (check_->hashes.size() == members) check_.reset();
}

void raft_state::take_verdict(const raft::diverged& v) {
  leave_service("this master's state differs from the majority's at log index " + std::to_string(v.at.v) + " (hash " +
                std::to_string(v.found) + ", theirs " + std::to_string(v.expected) + ")");
}

/// What this member holds is not to be trusted: it must not answer, vote or be asked any more.
void raft_state::leave_service(const std::string& why) {
  if (!out_of_service_.empty()) return;
  out_of_service_ = why + ": it is out of service; at its next start it takes the state from the others";
  log_->critical("{}", out_of_service_);
  if (auto noted = disk_->condemn(out_of_service_); !noted) log_->critical("{}", noted.error().message);
  publish_status();
  // Whoever supervises this actor takes the node down.
  self_->quit(caf::exit_reason::unhandled_exception);
}

} // namespace troupe
