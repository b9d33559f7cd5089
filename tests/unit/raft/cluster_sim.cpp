#include "tests/unit/raft/cluster_sim.hpp"

#include "store/rocks_backend.hpp"

#include <array>

namespace troupe::raft::test {

using namespace std::chrono_literals;

namespace {
std::uint64_t mix(std::uint64_t state, const log_entry& e) {
  state = state * 1099511628211ull + e.index.v * 31 + e.term.v;
  if (e.payload)
    for (unsigned char c : *e.payload)
      state = (state ^ c) * 1099511628211ull;
  return state;
}
std::string show(const group_config& c) {
  std::string out;
  for (auto id : c.voters)
    out += std::to_string(id.v);
  out += "/";
  for (auto id : c.outgoing)
    out += std::to_string(id.v);
  out += "/";
  for (auto id : c.learners)
    out += std::to_string(id.v);
  return out;
}
} // namespace

cluster_sim::cluster_sim(sim_options o) : opt_(o), rng_(o.seed) {
  group_config first;
  for (unsigned i = 1; i <= o.voters; ++i)
    first.voters.push_back(member_id{i});
  for (unsigned i = 1; i <= o.members; ++i) {
    auto& m = members_[member_id{i}];
    m.id = member_id{i};
    m.disk.config = first;
    start(m);
  }
  at(some(50ms), [this] { inject(); });
}

void cluster_sim::wrong(std::string what) {
  if (fault.empty())
    fault = "seed " + std::to_string(opt_.seed) + " at " + std::to_string(now_.count() / 1000000) + " ms: " + what;
}

void cluster_sim::at(duration in, std::function<void()> what) { todo_.push({now_ + in, ++order_, std::move(what)}); }

void cluster_sim::run(duration how_long) {
  const auto end = now_ + how_long;
  while (!todo_.empty() && todo_.top().at <= end && fault.empty()) {
    auto next = todo_.top();
    todo_.pop();
    now_ = next.at;
    next.what();
  }
  now_ = end;
}

void cluster_sim::start(member& m) {
  core_options o;
  o.self = m.id;
  o.seed = opt_.seed * 1000 + m.id.v * 17 + m.life;
  o.append_bytes_max = 200; // shrunken, so that batches, windows and snapshots are all exercised
  o.append_entries_max = opt_.append_entries_max;
  o.inflight_max = 3;
  o.persist_entries_max = 5;
  o.lease_reads = opt_.leases;
  o.spare_for = std::array{0ms, 5ms, 20ms}[opt_.seed % 3];
  o.spared_entries_max = 8;
  m.applied = m.disk.applied;
  m.state = m.disk.state;
  m.config = m.disk.config;
  m.writing.reset();
  m.slow_write_failed = false;
  m.core =
      std::make_unique<raft_core>(o, core_state{m.disk.hard, m.disk.base, m.disk.log, m.disk.applied, m.disk.config});
  record_adopted(m, false, {m.disk.applied, m.core->log().term_at(m.disk.applied).value_or(log_term{})}, m.state);
  step(m, begin{});
}

void cluster_sim::crash(member& m) {
  ++crashes;
  ++m.life;
  // What was being written is either wholly there or not at all.
  if (m.writing && chance(0.3)) {
    m.writing->then_send.clear();
    finish_write(m);
  }
  m.core.reset();
  m.writing.reset();
  m.aside.reset();
  m.reads.clear();
  m.disk.chunks.clear();
  at(some(opt_.down_max), [this, &m] {
    if (!m.core) start(m);
  });
}

void cluster_sim::step(member& m, const event& e) {
  const auto before = m.core->role_now();
  const auto term = m.core->term();
  auto out = m.core->step(e, now_);
  if (m.core->role_now() != before || m.core->term() != term) record_role(m);
  perform(m, std::move(out));
  check(m, before);
}

void cluster_sim::perform(member& m, effects e) {
  const auto life = m.life;
  if (e.persist) {
    if (m.writing) wrong("two writes at once");
    m.writing = std::move(e.persist);
    auto done = [this, &m, life] {
      if (m.life != life || !m.core) return;
      finish_aside(m, m.aside_number); // it was handed to the disk before
      auto then = std::move(m.writing->then_send);
      finish_write(m);
      for (const auto& x : then)
        send(x);
      step(m, persisted{});
    };
    if (opt_.write_failures && !calm_ && chance(opt_.refusals)) {
      const auto heals = opt_.sync_max + (chance(0.3) ? some(5s) : some(300ms));
      for (auto in = some(opt_.sync_max); in < heals; in += 200ms)
        at(in, [this, &m, life] {
          if (m.life == life && m.core && m.core->config().voters.size() > 1) step(m, persist_failed{});
        });
      at(heals, done);
    } else {
      at(some(opt_.sync_max), done);
    }
  }
  if (e.aside) {
    m.aside = std::move(e.aside);
    at(some(opt_.sync_max), [this, &m, number = ++m.aside_number] { finish_aside(m, number); });
  }
  for (const auto& x : e.send)
    send(x);
  for (const auto& x : e.apply)
    apply(m, x);
  if (e.config) m.config = *e.config;
  for (const auto& r : e.reads) {
    auto it = m.reads.find(r.id);
    if (it == m.reads.end()) continue;
    if (r.ok && r.index.v < it->second)
      wrong("a read at " + std::to_string(r.index.v) + " misses " + std::to_string(it->second));
    if (r.ok) ++reads_checked;
    m.reads.erase(it);
  }
  for (const auto& w : e.want_chunks)
    serve_chunk(m, w);
  if (e.wake_at == instant::max()) return;
  const auto epoch = ++m.tick_epoch;
  at(std::max(duration{0}, e.wake_at - now_), [this, &m, life, epoch] {
    if (m.life == life && m.core && m.tick_epoch == epoch) step(m, tick{});
  });
}

/// Term and vote beside a refused write: the disk may take those, or not even them.
void cluster_sim::finish_aside(member& m, std::uint64_t number) {
  if (!m.core || !m.aside || number != m.aside_number) return;
  const auto a = std::move(*std::exchange(m.aside, {}));
  const bool ok = calm_ || chance(0.6);
  if (ok) {
    ++asides;
    m.disk.hard = a.hard;
    if (m.writing && m.writing->hard) m.writing->hard = a.hard;
    for (const auto& x : a.then_send)
      send(x);
  }
  step(m, aside_written{ok});
}

/// Carries the write out, in the order the core demands, and with it the state machine as applied so far.
void cluster_sim::finish_write(member& m) {
  auto w = std::move(*m.writing);
  m.writing.reset();
  auto& d = m.disk;
  if (w.hard) d.hard = *w.hard;
  for (const auto& c : w.chunks) {
    if (c.offset == 0) d.chunks.clear();
    d.chunks += c.data ? *c.data : "";
  }
  if (w.install) {
    d.base = w.install->at;
    d.log.clear();
    d.applied = w.install->at.index;
    d.config = w.install->config;
    d.state = d.chunks.size() >= 8 ? std::stoull(d.chunks, nullptr, 16) : 0;
    if (m.applied < d.applied) {
      m.config = d.config;
      m.applied = d.applied;
      m.state = d.state;
    }
    ++snapshots;
    record_adopted(m, true, d.base, d.state);
    auto it = state_at_.find(d.applied.v);
    if (it == state_at_.end() || it->second != d.state) wrong("a snapshot of another state was installed");
  }
  if (!w.append.empty()) {
    const auto first = w.append.front().index;
    while (!d.log.empty() && d.log.back().index >= first)
      d.log.pop_back();
    const auto last = d.log.empty() ? d.base.index : d.log.back().index;
    if (last.next() != first) wrong("a hole in the durable log of member " + std::to_string(m.id.v));
    d.log.insert(d.log.end(), w.append.begin(), w.append.end());
  }
  for (const auto& e : w.append)
    if (opt_.record)
      opt_.record->stored.push_back({stamp(), m.id, static_cast<std::uint32_t>(m.life + 1), e.index, e.term, e.kind,
                                     e.payload ? sim::hash_of(*e.payload) : 0});
}

void cluster_sim::record_adopted(const member& m, bool snapshot, log_position at, std::uint64_t state) {
  if (opt_.record)
    opt_.record->adopted.push_back(
        {stamp(), m.id, static_cast<std::uint32_t>(m.life + 1), snapshot, at.index, at.term, at.index.v, state, false});
}

void cluster_sim::record_role(const member& m) {
  if (!opt_.record) return;
  const auto now = static_cast<sim::role_change::role>(m.core->role_now()); // the same four in the same order
  opt_.record->roles.push_back(
      {stamp(), m.id, static_cast<std::uint32_t>(m.life + 1), now, m.core->term(), m.core->leader(), false});
}

void cluster_sim::apply(member& m, const log_entry& e) {
  // The core hands an install's entries out only behind it: carry it out first, as the shell does.
  if (m.applied.next() != e.index) {
    wrong("member " + std::to_string(m.id.v) + " applies " + std::to_string(e.index.v) + " after " +
          std::to_string(m.applied.v));
    return;
  }
  const std::string payload = e.payload ? *e.payload : "";
  auto [it, fresh] = committed_.try_emplace(e.index.v, e.term.v, payload);
  if (!fresh && it->second != std::pair{e.term.v, payload})
    wrong("two different entries were committed at " + std::to_string(e.index.v));
  m.applied = e.index;
  m.state = mix(m.state, e);
  if (opt_.record)
    opt_.record->applied.push_back({stamp(), m.id, static_cast<std::uint32_t>(m.life + 1), e.index, e.term, e.kind,
                                    e.payload ? sim::hash_of(payload) : 0, e.index.v, m.state, 0});
  auto [s, first] = state_at_.try_emplace(e.index.v, m.state);
  if (!first && s->second != m.state) wrong("states differ at " + std::to_string(e.index.v));
  if (m.core->role_now() == role::leader) { // its proposer hears of it now
    acked_index_ = std::max(acked_index_, e.index.v);
    ++acked;
  }
}

void cluster_sim::send(const message& m) {
  witness(m);
  if (!calm_ && chance(opt_.drop)) return;
  const int copies = !calm_ && chance(opt_.duplicate) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    at(some(calm_ ? 2ms : opt_.delay_max), [this, m] {
      auto it = members_.find(m.to);
      if (it == members_.end() || !it->second.core) return;
      if (side_[m.from] != side_[m.to]) return;
      step(it->second, receive{m});
    });
  }
}

void cluster_sim::serve_chunk(member& m, const want_chunk& w) {
  const auto life = m.life;
  at(some(5ms), [this, &m, life, w] {
    if (m.life != life || !m.core) return;
    // A snapshot is what is applied now; a continued one must be the same, else it starts anew.
    const auto term = m.core->log().term_at(m.applied);
    if (!term) return;
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(m.state));
    const log_position here{m.applied, *term};
    const std::uint64_t offset = w.of == here ? w.offset : 0;
    const std::string piece = std::string(text).substr(offset, 6);
    const bool last = offset + piece.size() >= 16;
    step(m, chunk_read{w.to, {{here, m.config}, offset, std::make_shared<const std::string>(piece), last}});
  });
}

void cluster_sim::check(member& m, role before) {
  if (!m.core || m.core->role_now() != role::leader) return;
  const auto term = m.core->term().v;
  if (before != role::leader) {
    ++elections;
    if (opt_.leaders_die > 0 && !calm_ && chance(opt_.leaders_die))
      at(some(opt_.reign_max), [this, &m, life = m.life] {
        if (m.core && m.life == life && !calm_) crash(m);
      });
    // Leader completeness.
    for (const auto& [index, entry] : committed_) {
      if (index <= m.core->log().base().index.v) continue;
      const auto t = m.core->log().term_at(log_index{index});
      if (!t || t->v != entry.first) {
        wrong("the leader of term " + std::to_string(term) + " lacks committed entry " + std::to_string(index));
        return;
      }
    }
  }
  if (m.disk.hard.term.v >= term) reigns(m, term);
}

/// Known only from here on: before its vote is on disk, and while it sends nothing as leader, nobody can learn of it.
void cluster_sim::reigns(const member& m, std::uint64_t term) {
  auto [it, fresh] = leader_of_.try_emplace(term, m.id, m.life);
  if (it->second != std::pair{m.id, m.life}) wrong("term " + std::to_string(term) + " has two leaders or one twice");
}

void cluster_sim::witness(const message& x) {
  if (!std::holds_alternative<append_request>(x.body) && !std::holds_alternative<heartbeat>(x.body) &&
      !std::holds_alternative<snapshot_chunk>(x.body))
    return;
  const auto& m = members_[x.from];
  reigns(m, x.term.v);
  if (opt_.record && claimed_.insert({x.term.v, x.from}).second)
    opt_.record->claims.push_back({stamp(), x.from, x.term});
}

cluster_sim::member* cluster_sim::leader() {
  member* best = nullptr;
  for (auto& [id, m] : members_)
    if (m.core && m.core->role_now() == role::leader && (!best || m.core->term() > best->core->term())) best = &m;
  return best;
}

void cluster_sim::propose_somewhere() {
  auto& m = members_[member_id{1 + pick(opt_.members)}];
  if (!m.core) return;
  propose_entries p;
  for (auto n = 1 + pick(4); n > 0; --n)
    p.payloads.push_back(
        std::make_shared<const std::string>("v" + std::to_string(++next_value_) + std::string(pick(60), '.')));
  step(m, p);
}

/// One random deed every few milliseconds.
void cluster_sim::inject() {
  if (!calm_) at(some(15ms), [this] { inject(); });
  if (opt_.more_crashes > 0 && chance(opt_.more_crashes)) {
    auto& m = members_[member_id{1 + pick(opt_.members)}];
    if (m.core) crash(m);
    return;
  }
  const auto deed = pick(1000);
  auto& m = members_[member_id{1 + pick(opt_.members)}];
  if (deed < 600) {
    propose_somewhere();
  } else if (deed < 700) {
    if (!m.core) return;
    const auto id = ++next_read_;
    m.reads[id] = acked_index_;
    step(m, read_index{id});
  } else if (deed < 712 && opt_.crashes) {
    if (m.core) crash(m);
  } else if (deed < 722 && opt_.partitions) {
    for (auto& [id, x] : members_)
      side_[id] = static_cast<unsigned>(pick(2));
    at(some(1500ms), [this] { side_.clear(); });
  } else if (deed < 735 && opt_.changes) {
    auto* l = leader();
    if (!l) return;
    change_members c;
    for (auto n = 1 + pick(3); n > 0; --n)
      c.change.steps.push_back({static_cast<members_change::op>(pick(3)), member_id{1 + pick(opt_.members)}});
    step(*l, c);
    ++config_changes;
  } else if (deed < 742 && opt_.transfers) {
    if (auto* l = leader()) step(*l, transfer_leadership{m.id});
  } else if (deed < 760 && opt_.compaction) {
    if (!m.core) return;
    // First the state machine is made durable, then what it covers is forgotten.
    auto& d = m.disk;
    if (m.applied < d.base.index || m.applied > m.core->log().stable()) return; // never ahead of its log
    const auto keep = pick(6);
    if (m.writing && m.writing->install) return;
    d.applied = m.applied;
    d.state = m.state;
    d.config = m.config;
    const log_index upto{m.applied.v > keep ? m.applied.v - keep : 0};
    step(m, compact_log{upto});
    while (!d.log.empty() && d.log.front().index <= upto) {
      d.base = {d.log.front().index, d.log.front().term};
      d.log.erase(d.log.begin());
    }
  }
}

bool cluster_sim::settle(duration at_most) {
  if (!fault.empty()) return false;
  calm_ = true;
  side_.clear();
  for (auto& [id, m] : members_)
    if (!m.core) start(m);
  const auto end = now_ + at_most;
  bool proposed = false;
  std::uint64_t mark = 0;
  while (now_ < end && fault.empty()) {
    run(50ms);
    auto* l = leader();
    if (!l) continue;
    if (!proposed || l->core->term().v != mark) {
      step(*l, propose_entries{{std::make_shared<const std::string>("last")}});
      proposed = true;
      mark = l->core->term().v;
      continue;
    }
    bool equal =
        l->applied.v >= acked_index_ && l->applied == l->core->log().last().index && l->core->config().outgoing.empty();
    for (auto id : all_members(l->core->config())) {
      const auto& m = members_[id];
      equal =
          equal && m.core && m.applied == l->applied && m.state == l->state && m.core->config() == l->core->config();
    }
    if (equal) return true;
  }
  std::string how;
  for (auto& [id, m] : members_)
    how += " [" + std::to_string(id.v) + " role " + std::to_string(m.core ? static_cast<int>(m.core->role_now()) : 9) +
           " term " + std::to_string(m.core ? m.core->term().v : 0) + " applied " + std::to_string(m.applied.v) +
           " last " + std::to_string(m.core ? m.core->log().last().index.v : 0) + " config " +
           show(m.core ? m.core->config() : m.config) + "]";
  wrong("did not converge after healing:" + how);
  return false;
}

} // namespace troupe::raft::test
