#include "actors/raft/raft_core.hpp"

#include "store/mutations.hpp"

#include <algorithm>

namespace troupe::raft {

/// splitmix64: the jitter's only source, seeded by the options.
std::uint64_t raft_core::random() {
  auto z = (random_ += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

void raft_core::arm_election() {
  const auto jitter = random() % static_cast<std::uint64_t>(opt_.election_min.count());
  election_at_ = now_ + opt_.election_min + duration(static_cast<std::int64_t>(jitter));
}

instant raft_core::soon() {
  return now_ +
         duration(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(opt_.heartbeat_every.count())));
}

bool raft_core::alone() const {
  return config().voters.size() == 1 && config().voters[0] == opt_.self && config().outgoing.empty() &&
         config().learners.empty() && config().learners_next.empty();
}

/// Also a member that the latest change removes may have to be elected to get that change committed (thesis 4.2.2). Who
/// cannot write entries of its own would lead only until the disk refuses the next one.
bool raft_core::promotable() const {
  if (recovering_ || disk_refuses_) return false;
  if (is_voter(config(), opt_.self)) return true;
  for (const auto& [index, c] : configs_)
    if (&c != &configs_.back().second && configs_.back().first > log_.commit() && is_voter(c, opt_.self)) return true;
  return false;
}

void raft_core::become_follower(log_term term, member_id leader) {
  if (term > hard_.term) hard_ = {term, {}};
  if (role_ == role::leader) drop_reads();
  role_ = role::follower;
  if (leader_ != leader) {
    for (auto id : forwarded_reads_)
      out_.reads.push_back({id, {}, false});
    forwarded_reads_.clear();
  }
  leader_ = leader;
  leader_was_seen_ = false;
  votes_.clear();
  progress_.clear();
  heartbeat_at_ = quorum_check_at_ = transfer_until_ = instant::max();
  transfer_to_ = {};
  uncommitted_bytes_ = 0;
  arm_election();
}

/// Pre-vote (thesis 9.6) asks without raising the term; only when a majority would say yes is it raised.
void raft_core::campaign(bool pre, bool transfer) {
  if (!pre) hard_ = {hard_.term.next(), opt_.self};
  role_ = pre ? role::pre_candidate : role::candidate;
  leader_ = {};
  leader_was_seen_ = false;
  votes_ = {{opt_.self, true}};
  arm_election();
  if (count_votes(config(), votes_) == vote_outcome::won) {
    if (pre)
      campaign(false, transfer);
    else
      become_leader();
    return;
  }
  const auto term = pre ? hard_.term.next() : hard_.term;
  for (auto id : all_members(config()))
    if (id != opt_.self && is_voter(config(), id)) send_as(id, term, vote_request{log_.last(), pre, transfer});
}

void raft_core::handle(const message& m, const vote_request& r) {
  const bool current = r.last.term > log_.last().term || mutated(mutation::vote_for_stale_log) ||
                       (r.last.term == log_.last().term && r.last.index >= log_.last().index); // thesis 3.6.1
  if (r.pre) {
    const bool can_vote = !recovering_ && !aside_refused_;
    const bool granted = current && m.term > hard_.term && can_vote;
    send_as(m.from, granted ? m.term : hard_.term, vote_reply{granted, true});
    // Who asks lacks what we hold, so we are the better one to ask: soon, but not all who think so at the same moment.
    if (!current && role_ == role::follower && !heeds_leader()) election_at_ = std::min(election_at_, soon());
    return;
  }
  const bool free = hard_.vote == m.from || (!hard_.vote && !leader_);
  const bool granted = current && free && role_ != role::leader && !recovering_;
  if (granted) {
    hard_.vote = m.from;
    arm_election();
  }
  send(m.from, vote_reply{granted, false});
}

void raft_core::handle(const message& m, const vote_reply& r) {
  if (role_ != (r.pre ? role::pre_candidate : role::candidate)) return;
  if (r.pre && r.granted && m.term != hard_.term.next()) return; // an answer to an older question
  votes_[m.from] = r.granted;
  switch (count_votes(config(), votes_)) {
  case vote_outcome::pending: return;
  case vote_outcome::lost: become_follower(hard_.term, {}); return;
  case vote_outcome::won: break;
  }
  if (r.pre)
    campaign(false, false);
  else
    become_leader();
}

void raft_core::become_leader() {
  role_ = role::leader;
  leader_ = opt_.self;
  votes_.clear();
  for (auto id : forwarded_reads_)
    out_.reads.push_back({id, {}, false});
  forwarded_reads_.clear();
  incoming_.reset();
  incoming_offset_ = 0;
  uncommitted_bytes_ = 0;
  pending_change_ = log_.last().index; // one of the entries before us may be a change
  reset_progress();
  // Entries of former terms are committed only through one of this term (thesis 3.6.2).
  append_own(entry_kind::nothing, nullptr);
  replicate_all(when_empty::ask);
}

} // namespace troupe::raft
