#include "actors/raft/raft_core.hpp"

#include "actors/raft/confchange.hpp"
#include "store/mutations.hpp"

#include <algorithm>
#include <utility>

namespace troupe::raft {

void raft_core::reset_progress() {
  progress_.clear();
  round_ = 0;
  round_open_ = false;
  lease_spent_ = false;
  lease_until_ = instant{0};
  heartbeat_at_ = quorum_check_at_ = tell_at_ = offer_at_ = instant::max();
  partners_.clear();
  sync_progress_with_config();
}

void raft_core::sync_progress_with_config() {
  const auto members = all_members(config());
  std::erase_if(progress_, [&](const auto& p) { return p.first != opt_.self && !contains(members, p.first); });
  progress_.try_emplace(opt_.self);
  for (auto id : members) {
    auto [it, fresh] = progress_.try_emplace(id);
    if (!fresh) continue;
    it->second.next = log_.last().index.next();
    it->second.last_contact = now_; // gets its chance before the first quorum check
  }
  const bool others = members.size() > 1 || (members.size() == 1 && members[0] != opt_.self);
  if (!others)
    heartbeat_at_ = quorum_check_at_ = instant::max(); // a group of one sleeps
  else if (heartbeat_at_ == instant::max()) {
    heartbeat_at_ = now_ + opt_.heartbeat_every;
    quorum_check_at_ = now_ + opt_.election_min;
  }
}

void raft_core::lead_tick() {
  if (now_ >= transfer_until_) { // it did not take over in time: lead on
    transfer_to_ = {};
    transfer_until_ = instant::max();
  }
  if (now_ >= quorum_check_at_) { // thesis 6.2: a leader without a majority must not pretend
    if (!quorum_contacted_since(now_ - opt_.election_min)) {
      become_follower(hard_.term, {});
      return;
    }
    quorum_check_at_ = now_ + opt_.election_min;
  }
  if (now_ >= tell_at_) {
    tell_at_ = instant::max();
    replicate_all(when_empty::tell);
  }
  if (now_ >= offer_at_) {
    offer_at_ = instant::max();
    replicate_all(when_empty::nothing);
  }
  if (now_ < heartbeat_at_) return;
  heartbeat_at_ = now_ + opt_.heartbeat_every;
  if (opt_.lease_reads && !round_open_ && committed_in_term()) {
    ++round_;
    round_open_ = true;
    round_sent_ = now_;
  }
  broadcast_heartbeat();
}

bool raft_core::quorum_contacted_since(instant when) const {
  std::map<member_id, bool> seen;
  for (const auto& [id, p] : progress_)
    seen[id] = id == opt_.self || p.last_contact >= when;
  return count_votes(config(), seen) == vote_outcome::won;
}

void raft_core::broadcast_heartbeat() {
  for (const auto& [id, p] : progress_)
    if (id != opt_.self)
      send(id,
           heartbeat{mutated(mutation::heartbeat_commits) ? log_.commit() : std::min(log_.commit(), p.match), round_});
}

log_position raft_core::append_own(entry_kind kind, bytes_ptr payload) {
  log_entry e{log_.last().index.next(), hard_.term, kind, std::move(payload)};
  uncommitted_bytes_ += e.bytes();
  append(std::move(e));
  return log_.last();
}

void raft_core::replicate_all(when_empty then) {
  for (const auto& [id, p] : progress_)
    if (id != opt_.self) replicate(id, then);
}

void raft_core::replicate(member_id to, when_empty then) {
  auto& p = progress_[to];
  while (!p.blocked(opt_.inflight_max)) {
    const auto prev = p.next.prev();
    const auto prev_term = log_.term_at(prev);
    if (!prev_term) { // compacted away
      p.become_snapshot(now_);
      out_.want_chunks.push_back({to, std::nullopt, 0});
      return;
    }
    append_request r{{prev, *prev_term}, {}, log_.commit(), false};
    std::size_t bytes = 0;
    for (auto i = p.next; i <= log_.last().index && r.entries.size() < opt_.append_entries_max; i = i.next()) {
      const auto& e = log_.at(i);
      if (!r.entries.empty() && bytes + e.bytes() > opt_.append_bytes_max) break;
      bytes += e.bytes();
      r.entries.push_back(e);
    }
    const bool full = !r.entries.empty();
    if (!full) {
      r.tells = then == when_empty::tell && p.how == progress::mode::replicate;
      if (then == when_empty::nothing || (r.tells && p.told >= r.commit)) return;
    }
    then = when_empty::nothing;
    p.told = r.commit;
    const auto last = full ? r.entries.back().index : prev;
    send(to, std::move(r));
    if (p.how == progress::mode::probe) {
      p.paused = true;
    } else if (full) {
      p.next = last.next();
      p.inflight.push_back(last);
    }
    if (!full) return;
  }
}

/// To everybody who is not spared; the others get it in a moment.
void raft_core::offer_all() {
  choose_partners();
  for (const auto& [id, p] : progress_)
    if (id != opt_.self) offer(id);
}

void raft_core::offer(member_id to) {
  const auto& p = progress_[to];
  if (spared(to, p)) {
    if (p.next <= log_.last().index) offer_at_ = std::min(offer_at_, now_ + opt_.spare_for);
  } else {
    replicate(to, when_empty::nothing);
  }
}

/// The voters that acknowledged most, as many as a majority needs beside us. Nobody is spared in the joint phase of a
/// change, in a term's beginning, while too few voters follow, and while our own disk is the one that is behind.
void raft_core::choose_partners() {
  const auto before = std::exchange(partners_, {});
  if (opt_.spare_for == duration{0} || !config().outgoing.empty() || pending_change_ > log_.commit() ||
      !committed_in_term() || log_.stable() < log_.commit() || transfer_to_ || !is_voter(config(), opt_.self))
    return;
  for (auto id : config().voters)
    if (const auto it = progress_.find(id);
        id != opt_.self && it != progress_.end() && it->second.how == progress::mode::replicate)
      partners_.push_back(id);
  const auto needed = config().voters.size() / 2;
  if (partners_.size() < needed) {
    partners_.clear();
    return;
  }
  std::stable_sort(partners_.begin(), partners_.end(), [&](member_id a, member_id b) {
    const auto match_a = progress_[a].match, match_b = progress_[b].match;
    return match_a != match_b ? match_a > match_b : contains(before, a) && !contains(before, b);
  });
  partners_.resize(needed);
}

bool raft_core::spared(member_id id, const progress& p) const {
  return !partners_.empty() && !contains(partners_, id) && p.how == progress::mode::replicate &&
         p.awaits <= log_.commit() && log_.last().index.v - p.next.prev().v < opt_.spared_entries_max;
}

void raft_core::advance_commit() {
  progress_[opt_.self].match = log_.stable();
  const auto before = log_.commit();
  while (role_ == role::leader) {
    auto n = committed_index(config(), [this](member_id id) {
      auto it = progress_.find(id);
      return it == progress_.end() ? log_index{} : it->second.match;
    });
    if (mutated(mutation::commit_alone)) n = log_.stable();
    // Only entries of this term are committed by counting (thesis 3.6.2).
    if (n <= log_.commit() || (log_.term_at(n) != hard_.term && !mutated(mutation::count_prior_term))) break;
    commit_to(n);
  }
  if (log_.commit() == before) return;
  leave_joint_phase();
  tell_commit(before);
  start_round();
  const bool settled = configs_.back().first <= log_.commit();
  if (settled && !is_voter(config(), opt_.self)) become_follower(hard_.term, {}); // removed: our part ends here
}

void raft_core::tell_commit(log_index before) {
  const bool alone_in_time = now_ - std::exchange(committed_at_, now_) >= opt_.tell_within;
  const bool urgent = alone_in_time || configs_.back().first > before || log_.term_at(before) != hard_.term;
  for (const auto& [id, p] : progress_) {
    if (id == opt_.self) continue;
    if (urgent || p.awaits > before)
      replicate(id, when_empty::tell);
    else
      tell_at_ = std::min(tell_at_, now_ + opt_.tell_within);
  }
}

/// Also for a joint phase that a former leader began.
void raft_core::leave_joint_phase() {
  if (config().outgoing.empty() || !config().auto_leave || pending_change_ > log_.commit()) return;
  pending_change_ = append_own(entry_kind::members, std::make_shared<const std::string>(encode_change({}))).index;
}

/// The largest index at or below the hint whose term is not newer: everything behind it differs for certain.
log_index raft_core::find_agreement(log_position hint) const {
  auto i = std::min(hint.index, log_.last().index);
  while (i > log_.base().index) {
    if (log_.at(i).term <= hint.term) return i;
    i = i.prev();
  }
  return i;
}

void raft_core::handle(const message& m, const append_reply& r) {
  auto it = progress_.find(m.from);
  if (role_ != role::leader || it == progress_.end()) return;
  auto& p = it->second;
  p.last_contact = now_;
  if (!r.ok) {
    refused_append(p, r);
    replicate(m.from, when_empty::ask);
    return;
  }
  if (r.match > log_.last().index) return; // of nothing we ever sent
  if (r.held && !mutated(mutation::count_held)) {
    held_append(p, r);
    replicate(m.from, when_empty::nothing);
    return;
  }
  const bool news = r.match > p.match;
  p.match = std::max(p.match, r.match);
  p.next = std::max(p.next, p.match.next());
  p.freed(r.match);
  if (p.how == progress::mode::probe) p.become_replicate();
  const bool restored = p.how == progress::mode::snapshot && log_.term_at(p.match);
  if (restored) p.become_probe(p.match.next());
  if (news) advance_commit();
  it = progress_.find(m.from); // what was committed may have ended this member's part, and its progress with it
  if (role_ != role::leader || it == progress_.end()) return;
  // A member that lost its log takes part again when an append tells it what is committed, also when nothing follows.
  // What was committed while its only append was under way it would hear from heartbeats alone, and those name no more
  // than we believe it holds.
  const bool waits = r.lost && committed_in_term() && it->second.match >= log_.commit();
  if (restored || waits)
    replicate(m.from, when_empty::ask);
  else
    offer(m.from);
  if (transfer_to_ == m.from && it->second.match == log_.last().index) send(m.from, timeout_now{});
}

/// Its disk refuses writes, and it follows in memory so that its reads go on.
void raft_core::held_append(progress& p, const append_reply& r) {
  if (p.how == progress::mode::snapshot) return;
  if (p.how == progress::mode::probe) p.become_replicate();
  p.next = std::max(p.next, r.match.next());
  p.freed(r.match);
}

void raft_core::refused_append(progress& p, const append_reply& r) {
  const auto rejected = r.match;
  if (p.how == progress::mode::snapshot) return;
  if (r.lost && r.hint.index < p.match) { // what it acknowledged once is gone
    p.match = r.hint.index;
    p.become_probe(p.match.next());
    return;
  }
  if (p.how == progress::mode::replicate) {
    if (rejected > p.match) p.become_probe(p.match.next());
    return;
  }
  if (p.next.prev() != rejected) return; // an answer to an older guess
  const auto agree = find_agreement(r.hint);
  p.next = std::max(p.match.next(), std::min(rejected, agree.next()));
  p.paused = false;
}

void raft_core::handle(const message& m, const heartbeat_reply& r) {
  auto it = progress_.find(m.from);
  if (role_ != role::leader || it == progress_.end()) return;
  auto& p = it->second;
  p.last_contact = now_;
  p.acked_round = std::max(p.acked_round, r.round);
  p.paused = false;
  if (p.how == progress::mode::replicate && p.inflight.size() >= opt_.inflight_max) p.inflight.pop_front();
  if (p.how == progress::mode::snapshot) {
    if (now_ - p.snapshot_activity >= opt_.election_min) { // a chunk or its answer was lost
      p.snapshot_activity = now_;
      out_.want_chunks.push_back({m.from, p.snapshot, p.snapshot_offset});
    }
  } else if (p.match < log_.last().index) {
    replicate(m.from, when_empty::ask);
  }
  if (round_open_) settle_round();
}

// ---------------------------------------------------------------- snapshots

void raft_core::on(const chunk_read& c) {
  auto it = progress_.find(c.to);
  if (role_ != role::leader || it == progress_.end() || it->second.how != progress::mode::snapshot) return;
  auto& p = it->second;
  p.snapshot = c.chunk.meta.at;
  p.snapshot_offset = c.chunk.offset;
  p.snapshot_activity = now_;
  send(c.to, c.chunk);
}

void raft_core::handle(const message& m, const snapshot_reply& r) {
  auto it = progress_.find(m.from);
  if (role_ != role::leader || it == progress_.end()) return;
  auto& p = it->second;
  p.last_contact = now_;
  if (p.how != progress::mode::snapshot || p.snapshot != r.at) return;
  if (r.next_offset == p.snapshot_offset) return; // that chunk is out already; a heartbeat revives a lost one
  p.snapshot_offset = r.next_offset;
  p.snapshot_activity = now_;
  out_.want_chunks.push_back({m.from, r.at, r.next_offset});
}

// ---------------------------------------------------------------- reads (thesis 6.4)

void raft_core::handle(const message& m, const read_request& r) {
  if (role_ == role::leader)
    queue_read(m.from, r.id);
  else
    send(m.from, read_reply{r.id, {}, false});
}

void raft_core::answer_read(member_id from, std::uint64_t id, log_index index, bool ok) {
  if (from == opt_.self)
    out_.reads.push_back({id, index, ok});
  else {
    if (ok && progress_.contains(from))
      replicate(from, when_empty::tell); // it serves the read once it knows that much to be committed
    send(from, read_reply{id, index, ok});
  }
}

void raft_core::queue_read(member_id from, std::uint64_t id) {
  const bool ready = committed_in_term();
  const bool leased = opt_.lease_reads && !lease_spent_ && now_ < lease_until_;
  const std::map<member_id, bool> self{{opt_.self, true}};
  if (ready && (leased || mutated(mutation::read_without_round) || count_votes(config(), self) == vote_outcome::won)) {
    answer_read(from, id, log_.commit(), true);
    return;
  }
  queued_reads_.push_back({from, id, {}});
  start_round();
}

/// All reads that came while a round was open share the next one.
void raft_core::start_round() {
  if (round_open_ || queued_reads_.empty() || !committed_in_term()) return;
  ++round_;
  round_open_ = true;
  round_sent_ = now_;
  round_reads_.swap(queued_reads_);
  for (auto& r : round_reads_)
    r.index = log_.commit();
  broadcast_heartbeat();
  settle_round();
}

void raft_core::settle_round() {
  std::map<member_id, bool> acks;
  for (const auto& [id, p] : progress_)
    if (id == opt_.self || p.acked_round >= round_) acks[id] = true;
  if (count_votes(config(), acks) != vote_outcome::won) return;
  lease_until_ = round_sent_ + opt_.election_min * 3 / 4; // followers wait longer than that; a quarter is for drift
  if (mutated(mutation::stale_lease)) lease_until_ = now_ + opt_.election_min * 2;
  round_open_ = false;
  const auto done = std::exchange(round_reads_, {});
  for (const auto& r : done)
    answer_read(r.from, r.id, r.index, true);
  start_round();
}

void raft_core::drop_reads() {
  for (auto* list : {&round_reads_, &queued_reads_}) {
    for (const auto& r : *list)
      answer_read(r.from, r.id, {}, false);
    list->clear();
  }
  round_open_ = false;
  lease_until_ = instant{0};
}

} // namespace troupe::raft
