#include "actors/raft/raft_core.hpp"

#include "actors/raft/confchange.hpp"
#include "store/mutations.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace troupe::raft {

namespace {
constexpr std::size_t forwarded_reads_max = 4096; // beyond: the oldest is answered as failed
}

raft_core::raft_core(core_options options, core_state from)
    : opt_(options), hard_(from.hard), durable_hard_(from.hard), handed_hard_(from.hard),
      log_(from.base, std::move(from.log), from.hard.commit,
           mutated(mutation::apply_twice) ? from.base.index : std::max(from.applied, from.base.index)),
      random_(options.seed * 0x9e3779b97f4a7c15ull + options.self.v),
      recovering_(from.recovering && !mutated(mutation::recovering_votes)) {
  if (mutated(mutation::forget_vote)) hard_.vote = durable_hard_.vote = handed_hard_.vote = {};
  configs_.emplace_back(log_.applied(), std::move(from.config));
  for (auto i = log_.applied().next(); i <= log_.last().index; i = i.next())
    adopt(log_.at(i));
}

effects raft_core::step(const event& e, instant now) {
  now_ = std::max(now, now_); // a clock that steps back must not revive old deadlines
  out_ = {};
  const auto before = role_;
  std::visit([this](const auto& x) { on(x); }, e);
  finish_step();
  out_.role_changed = role_ != before;
  return std::move(out_);
}

void raft_core::finish_step() {
  if (!persisting_)
    hand_out_persist();
  else if (disk_refuses_)
    hand_out_aside();
  out_.apply = log_.take_applicable(disk_refuses_ && !installing());
  while (configs_.size() > 1 && configs_[1].first <= log_.applied()) {
    configs_.pop_front();
    out_.config = configs_.front().second;
  }
  out_.wake_at = next_deadline();
}

/// One persist at a time: what comes while it is out is the next group.
void raft_core::hand_out_persist() {
  waiting_.append = log_.hand_out(opt_.persist_entries_max, opt_.persist_bytes_max);
  if (!waiting_.append.empty()) write_refused_ = false;
  if ((!hard_is_durable() && !write_refused_) || !waiting_.append.empty())
    waiting_.hard = hard_state{hard_.term, hard_.vote, std::min(log_.commit(), log_.handed())};
  // Replies may rest on entries that did not fit into this group: keep them for the next.
  std::vector<message> later;
  if (!log_.all_handed()) later = std::exchange(waiting_.then_send, {});
  if (waiting_.hard || waiting_.install || !waiting_.append.empty() || !waiting_.chunks.empty()) {
    persisting_ = true;
    if (waiting_.hard) handed_hard_ = *waiting_.hard;
    installing_ = waiting_.install.has_value();
    out_.persist = std::move(waiting_);
  } else if (hard_is_durable()) { // what these replies rest on has become durable since: no write only for them
    std::move(waiting_.then_send.begin(), waiting_.then_send.end(), std::back_inserter(out_.send));
  } else {
    later = std::exchange(waiting_.then_send, {});
  }
  waiting_ = {};
  waiting_.then_send = std::move(later);
}

namespace {

/// What a message needs to be durable, so that a crash takes back nothing another member relies on (thesis 3.8).
enum class footing { nothing, term_and_vote, log };

footing footing_of(const message_body& body) {
  if (const auto* r = std::get_if<append_reply>(&body)) return r->ok && !r->held ? footing::log : footing::nothing;
  if (const auto* r = std::get_if<vote_request>(&body)) return r->pre ? footing::nothing : footing::term_and_vote;
  if (const auto* r = std::get_if<vote_reply>(&body))
    return r->granted && !r->pre ? footing::term_and_vote : footing::nothing;
  if (std::holds_alternative<snapshot_reply>(body)) return footing::log;
  // That we hear a leader, and have voted for no later one, stays true of the past whatever we forget.
  const bool promises = !std::holds_alternative<heartbeat_reply>(body) && !std::holds_alternative<read_request>(body) &&
                        !std::holds_alternative<read_reply>(body);
  return promises ? footing::term_and_vote : footing::nothing;
}

/// The later of two such answers says all that the earlier one does.
bool says_more(const message& later, const message& earlier) {
  if (later.to != earlier.to || later.term != earlier.term) return false;
  const auto* a = std::get_if<append_reply>(&later.body);
  const auto* b = std::get_if<append_reply>(&earlier.body);
  if (a && b) return a->ok && b->ok && a->lost == b->lost && a->match >= b->match;
  const auto* x = std::get_if<snapshot_reply>(&later.body);
  const auto* y = std::get_if<snapshot_reply>(&earlier.body);
  return x && y && x->at == y->at;
}

} // namespace

/// The group that is out may be refused for hours; term and vote, and what rests on nothing else, go without it.
void raft_core::hand_out_aside() {
  if (aside_ || aside_refused_ || hard_is_durable()) return;
  aside_ = hard_state{hard_.term, hard_.vote, std::min(log_.commit(), log_.stable())};
  auto& waiting = waiting_.then_send;
  const auto rest = std::stable_partition(waiting.begin(), waiting.end(),
                                          [](const message& m) { return footing_of(m.body) == footing::log; });
  out_.aside = aside_effect{*aside_, {std::make_move_iterator(rest), std::make_move_iterator(waiting.end())}};
  waiting.erase(rest, waiting.end());
}

instant raft_core::next_deadline() const {
  if (role_ == role::leader) return std::min({heartbeat_at_, quorum_check_at_, transfer_until_, tell_at_, offer_at_});
  return promotable() ? election_at_ : instant::max();
}

void raft_core::send(member_id to, message_body body) { send_as(to, hard_.term, std::move(body)); }
void raft_core::send_as(member_id to, log_term term, message_body body) {
  message m{opt_.self, to, term, std::move(body)};
  const auto on = footing_of(m.body);
  const bool waits = on == footing::log || (on == footing::term_and_vote && !hard_is_durable());
  if (waits && !mutated(mutation::reply_before_sync))
    send_when_durable(std::move(m));
  else
    out_.send.push_back(std::move(m));
}
void raft_core::send_when_durable(message m) {
  auto& waiting = waiting_.then_send;
  if (!waiting.empty() && says_more(m, waiting.back()))
    waiting.back() = std::move(m);
  else
    waiting.push_back(std::move(m));
}

// ---------------------------------------------------------------- events of the shell

void raft_core::on(const begin&) {
  arm_election();
  if (opt_.lease_reads) no_votes_until_ = now_ + opt_.election_min;
  if (alone()) campaign(false, false);
}

void raft_core::on(const tick&) {
  if (role_ == role::leader) {
    lead_tick();
    return;
  }
  if (now_ < election_at_) return;
  arm_election();
  if (promotable()) campaign(true, false);
}

void raft_core::on(const persisted&) {
  persisting_ = installing_ = disk_refuses_ = aside_refused_ = false;
  held_bytes_ = 0;
  hard_is_written(handed_hard_);
  log_.written();
  if (role_ == role::leader) advance_commit();
}

void raft_core::on(const persist_failed&) {
  if (!alone()) {
    disk_refuses_ = true;
    aside_refused_ = false; // whoever tries again tries both
    if (role_ != role::follower) become_follower(hard_.term, {});
    return;
  }
  persisting_ = false;
  write_refused_ = true;
  const auto cut = log_.stable().next();
  if (log_.last().index < cut) return;
  truncate(cut);
  uncommitted_bytes_ = 0;
  pending_change_ = std::min(pending_change_, log_.last().index);
  out_.lost_from = cut;
}

void raft_core::on(const aside_written& w) {
  if (!aside_) return;
  if (w.ok) hard_is_written(*aside_);
  aside_refused_ = !w.ok;
  aside_.reset();
}

/// The refused group is older than what was written beside it.
void raft_core::hard_is_written(const hard_state& h) {
  const bool older = h.term < durable_hard_.term || (h.term == durable_hard_.term && !h.vote);
  if (!older) durable_hard_ = h;
}

void raft_core::on(const propose_entries& p) {
  if (role_ != role::leader)
    out_.refused = refusal::not_leader;
  else if (transfer_to_)
    out_.refused = refusal::transferring;
  else if (uncommitted_bytes_ > opt_.uncommitted_bytes_max)
    out_.refused = refusal::overloaded;
  if (out_.refused != refusal::none || p.payloads.empty()) return;
  out_.accepted = log_position{log_.last().index.next(), hard_.term};
  for (const auto& payload : p.payloads)
    append_own(entry_kind::change, payload);
  if (auto it = progress_.find(p.from); it != progress_.end()) it->second.awaits = log_.last().index;
  offer_all();
}

void raft_core::on(const propose_check&) {
  if (role_ != role::leader || transfer_to_) {
    out_.refused = role_ != role::leader ? refusal::not_leader : refusal::transferring;
    return;
  }
  out_.accepted = append_own(entry_kind::check, nullptr);
  replicate_all(when_empty::nothing);
}

void raft_core::on(const change_members& c) {
  std::string why;
  if (role_ != role::leader)
    out_.refused = refusal::not_leader;
  else if (transfer_to_)
    out_.refused = refusal::transferring;
  else if (pending_change_ > log_.commit() || !committed_in_term() || // thesis 4.1 as corrected by its author in 2015
           (!config().outgoing.empty() && !c.change.steps.empty()))
    out_.refused = refusal::change_pending;
  else if (!changed(config(), c.change, why))
    out_.refused = refusal::change_invalid;
  if (out_.refused != refusal::none) return;
  out_.accepted = append_own(entry_kind::members, std::make_shared<const std::string>(encode_change(c.change)));
  pending_change_ = out_.accepted->index;
  replicate_all(when_empty::ask); // a new member holds nothing yet: find out where it stands
}

void raft_core::on(const read_index& r) {
  if (role_ == role::leader) {
    queue_read(opt_.self, r.id);
    return;
  }
  if (!leader_) {
    out_.reads.push_back({r.id, {}, false});
    return;
  }
  if (forwarded_reads_.size() >= forwarded_reads_max) { // answers were lost: the oldest will not come any more
    out_.reads.push_back({forwarded_reads_.front(), {}, false});
    forwarded_reads_.erase(forwarded_reads_.begin());
  }
  forwarded_reads_.push_back(r.id);
  send(leader_, read_request{r.id});
}

void raft_core::on(const transfer_leadership& t) {
  if (role_ != role::leader) {
    out_.refused = refusal::not_leader;
    return;
  }
  if (t.to == opt_.self || !is_voter(config(), t.to)) return;
  transfer_to_ = t.to;
  lease_spent_ = true;
  transfer_until_ = now_ + opt_.election_min;
  drop_reads(); // the lease and any open round end here
  if (progress_[t.to].match == log_.last().index)
    send(t.to, timeout_now{});
  else
    replicate(t.to, when_empty::ask);
}

void raft_core::on(const compact_log& c) { log_.compact(c.upto); }

void raft_core::on(const unreachable& u) {
  auto it = progress_.find(u.who);
  if (role_ == role::leader && it != progress_.end() && it->second.how == progress::mode::replicate)
    it->second.become_probe(it->second.match.next());
}

// ---------------------------------------------------------------- messages

void raft_core::on(const receive& r) {
  if (!admit(r.m)) return;
  std::visit([&](const auto& body) { handle(r.m, body); }, r.m.body);
}

/// True while a live leader is known: then nobody is helped to unseat it (thesis 4.2.3).
bool raft_core::heeds_leader() const {
  if (role_ == role::leader || now_ < no_votes_until_) return true;
  return leader_ && leader_was_seen_ && now_ - leader_seen_ < opt_.election_min;
}

/// The rules about terms, the same for all messages (thesis figure 3.1, "rules for servers"; 9.6 for pre-vote).
bool raft_core::admit(const message& m) {
  if (m.to != opt_.self || m.from == opt_.self) return false;
  const auto* ask = std::get_if<vote_request>(&m.body);
  const auto* reply = std::get_if<vote_reply>(&m.body);
  const bool from_leader = std::holds_alternative<append_request>(m.body) ||
                           std::holds_alternative<heartbeat>(m.body) || std::holds_alternative<snapshot_chunk>(m.body);
  if (m.term > hard_.term) {
    if (ask && !ask->transfer && heeds_leader()) return false;
    if (ask && ask->pre) return true;
    if (reply && reply->pre && reply->granted) return true;
    become_follower(m.term, from_leader ? m.from : member_id{});
    return true;
  }
  if (m.term == hard_.term) return true;
  // A leader or asker of the past learns of the newer term, else it could not take part again.
  if (from_leader)
    send(m.from, heartbeat_reply{0});
  else if (ask && ask->pre)
    send(m.from, vote_reply{false, true});
  return false;
}

void raft_core::heard_leader(const message& m) {
  if (role_ == role::candidate || role_ == role::pre_candidate) become_follower(hard_.term, m.from);
  leader_ = m.from;
  leader_seen_ = now_;
  leader_was_seen_ = true;
  arm_election();
}

void raft_core::handle(const message& m, const append_request& r) {
  if (role_ == role::leader) return; // two leaders of one term cannot be; never act on a forged one
  heard_leader(m);
  if (r.prev.index < log_.commit()) {
    if (r.tells) return;
    send(m.from, append_reply{true, log_.commit(), {}});
    // Its guess begins at what is durable here, which may stay behind for long: what is committed it need not send.
    if (disk_refuses_) send(m.from, append_reply{true, log_.commit(), {}, false, true});
    return;
  }
  if (!log_.holds(r.prev) && !(mutated(mutation::append_unchecked) && r.prev.index <= log_.last().index)) {
    const auto at = find_agreement({std::min(r.prev.index, log_.last().index), r.prev.term});
    send(m.from, append_reply{false, r.prev.index, {at, log_.term_at(at).value_or(log_term{})}, recovering_});
    return;
  }
  auto expected = r.prev.index.next();
  for (const auto& e : r.entries) {
    if (e.index != expected) return; // not a run of entries: refuse the whole message
    expected = expected.next();
  }
  if (held_bytes_ > opt_.held_bytes_max) return; // it comes again when the disk takes what we hold
  for (const auto& e : r.entries) {
    if (log_.holds({e.index, e.term}) && !mutated(mutation::truncate_always)) continue;
    if (e.index <= log_.last().index) {
      if (e.index <= log_.commit()) return; // would rewrite history: not from a correct leader
      truncate(e.index);
      if (!out_.lost_from) out_.lost_from = e.index;
    }
    append(e);
  }
  const log_index last_new = expected.prev();
  commit_to(std::min(r.commit, last_new));
  // What the leader committed in its own term comes after everything that was ever acknowledged before.
  if (recovering_ && r.commit <= last_new && log_.term_at(r.commit) == hard_.term) recovering_ = false;
  if (r.tells) return;
  send(m.from, append_reply{true, last_new, {}, recovering_});
  if (disk_refuses_) send(m.from, append_reply{true, last_new, {}, recovering_, true});
}

void raft_core::handle(const message& m, const heartbeat& r) {
  if (role_ == role::leader) return;
  heard_leader(m);
  commit_to(r.commit); // the leader never names more than it knows we hold, unless our disk lost it
  if (recovering_ && r.commit > log_.last().index) send(m.from, append_reply{false, r.commit, log_.last(), true});
  send(m.from, heartbeat_reply{r.round});
}

void raft_core::handle(const message& m, const snapshot_chunk& r) {
  if (role_ == role::leader) return;
  heard_leader(m);
  if (r.meta.at.index <= log_.commit()) {
    send(m.from, append_reply{true, log_.commit(), {}});
    return;
  }
  if (incoming_ != r.meta) {
    incoming_ = r.meta;
    incoming_offset_ = 0;
  }
  if (r.offset != incoming_offset_) { // lost, repeated, or begun before our restart: say where to go on
    send(m.from, snapshot_reply{r.meta.at, incoming_offset_});
    return;
  }
  waiting_.chunks.push_back(r);
  incoming_offset_ += r.data ? r.data->size() : 0;
  if (r.last)
    install(m, r);
  else
    send(m.from, snapshot_reply{r.meta.at, incoming_offset_});
}

void raft_core::install(const message& m, const snapshot_chunk& r) {
  incoming_.reset();
  incoming_offset_ = 0;
  if (log_.holds(r.meta.at)) { // thesis 5.1: the log agrees already; keep what follows
    std::erase_if(waiting_.chunks, [&](const snapshot_chunk& c) { return c.meta == r.meta; });
    commit_to(r.meta.at.index);
  } else {
    if (log_.last().index > log_.commit()) out_.lost_from = log_.commit().next();
    log_.reset_to(r.meta.at);
    configs_.clear();
    configs_.emplace_back(r.meta.at.index, r.meta.config);
    out_.config = r.meta.config;
    waiting_.install = r.meta;
  }
  send(m.from, append_reply{true, r.meta.at.index, {}});
}

void raft_core::handle(const message&, const timeout_now&) {
  if (role_ != role::leader && promotable()) campaign(false, true);
}

void raft_core::handle(const message&, const read_reply& r) {
  if (std::erase(forwarded_reads_, r.id) > 0) out_.reads.push_back({r.id, r.index, r.ok});
}

// ---------------------------------------------------------------- commit

void raft_core::commit_to(log_index i) {
  i = std::min(i, log_.last().index);
  for (auto k = log_.commit().next(); k <= i; k = k.next()) {
    log_.commit_to(k);
    if (role_ == role::leader) uncommitted_bytes_ -= std::min(uncommitted_bytes_, log_.at(k).bytes());
  }
}

// ---------------------------------------------------------------- log and configuration together

void raft_core::append(log_entry e) {
  if (disk_refuses_) held_bytes_ += e.bytes();
  log_.append(std::move(e));
  adopt(log_.at(log_.last().index));
}

void raft_core::truncate(log_index first) {
  log_.truncate(first);
  while (configs_.size() > 1 && configs_.back().first >= first && !mutated(mutation::stale_config))
    configs_.pop_back();
}

/// Rejected: adopting at commit, as etcd does. A leader that is removed by a change then stops counting itself before
/// the others know of the change, and with one more entry in its log it refuses them its vote for ever.
void raft_core::adopt(const log_entry& e) {
  members_change change;
  std::string why;
  if (e.kind != entry_kind::members || !e.payload || !decode_change(*e.payload, change)) return;
  auto next = changed(config(), change, why);
  if (!next) return;
  configs_.emplace_back(e.index, std::move(*next));
  if (role_ == role::leader) sync_progress_with_config();
}

} // namespace troupe::raft
