#include "tests/unit/raft/scenario_world.hpp"

#include <algorithm>
#include <sstream>

namespace troupe::raft::test {

using namespace std::chrono_literals;

namespace {

const char* role_name(role r) {
  static constexpr const char* names[] = {"follower", "pre-candidate", "candidate", "leader"};
  return names[static_cast<int>(r)];
}
const char* refusal_name(refusal r) {
  static constexpr const char* names[] = {"none",         "not leader",     "overloaded",
                                          "transferring", "change pending", "change invalid"};
  return names[static_cast<int>(r)];
}
std::string num(std::uint64_t v) { return std::to_string(v); }
std::string at(log_position p) { return num(p.index.v) + "@" + num(p.term.v); }
std::string ids(const std::vector<member_id>& list) {
  std::string s;
  for (auto id : list)
    s += (s.empty() ? "" : " ") + num(id.v);
  return s;
}

template <class... Fs>
struct overload : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
overload(Fs...) -> overload<Fs...>;

} // namespace

std::string describe(const group_config& c) {
  std::string s = "voters (" + ids(c.voters) + ")";
  if (!c.outgoing.empty()) s += " leaving (" + ids(c.outgoing) + ")";
  if (!c.learners.empty()) s += " learners (" + ids(c.learners) + ")";
  if (!c.learners_next.empty()) s += " to become learners (" + ids(c.learners_next) + ")";
  return s;
}

std::string describe(const message& m) {
  const std::string body = std::visit(
      overload{
          [](const vote_request& b) {
            return std::string(b.pre ? "pre-vote?" : "vote?") + " last " + at(b.last) + (b.transfer ? " transfer" : "");
          },
          [](const vote_reply& b) { return std::string(b.pre ? "pre-vote " : "vote ") + (b.granted ? "yes" : "no"); },
          [](const append_request& b) {
            std::string s = "append after " + at(b.prev) + " [";
            for (const auto& e : b.entries)
              s += (s.back() == '[' ? "" : " ") + at({e.index, e.term});
            return b.tells ? "told after " + at(b.prev) + " commit " + num(b.commit.v)
                           : s + "] commit " + num(b.commit.v);
          },
          [](const append_reply& b) {
            return b.ok ? "appended to " + num(b.match.v)
                        : "refused " + num(b.match.v) + " hint " + at(b.hint) +
                              (b.lost ? ", its disk lost entries" : "");
          },
          [](const heartbeat& b) { return "heartbeat commit " + num(b.commit.v) + " round " + num(b.round); },
          [](const heartbeat_reply& b) { return "alive round " + num(b.round); },
          [](const snapshot_chunk& b) {
            return "snapshot " + at(b.meta.at) + " from byte " + num(b.offset) + (b.last ? " last" : "");
          },
          [](const snapshot_reply& b) { return "snapshot " + at(b.at) + " wants byte " + num(b.next_offset); },
          [](const timeout_now&) { return std::string("take over"); },
          [](const read_request& b) { return "read? " + num(b.id); },
          [](const read_reply& b) { return "read " + num(b.id) + (b.ok ? " at " + num(b.index.v) : " refused"); },
      },
      m.body);
  return num(m.from.v) + "->" + num(m.to.v) + " term " + num(m.term.v) + ": " + body;
}

std::vector<std::string> scenario_world::run(const std::string& command) {
  said_.clear();
  std::istringstream in(command);
  words w;
  for (std::string s; in >> s;)
    w.push_back(s);
  auto n = [&](std::size_t i) { return w.size() > i ? std::strtoull(w[i].c_str(), nullptr, 10) : 0; };
  const auto& verb = w[0];
  const auto id = n(1);
  auto ptr = [](const std::string& s) { return std::make_shared<const std::string>(s); };
  if (verb == "new")
    create(w);
  else if (verb == "settle")
    settle();
  else if (verb == "elect")
    elect(id);
  else if (verb == "elapse")
    elapse(id);
  else if (verb == "propose")
    step(id, propose_entries{{ptr(w[2])}});
  else if (verb == "read")
    step(id, read_index{n(2)});
  else if (verb == "transfer")
    step(id, transfer_leadership{member_id{n(2)}});
  else if (verb == "change")
    change(id, w);
  else if (verb == "compact")
    step(id, compact_log{log_index{n(2)}});
  else if (verb == "persist")
    finish_write(id);
  else if (verb == "fail")
    fail_write(id);
  else if (verb == "aside")
    finish_aside(id, w.size() < 3);
  else if (verb == "manual")
    members_[id].manual = true;
  else if (verb == "auto")
    members_[id].manual = false;
  else if (verb == "cut")
    members_[id].cut = true;
  else if (verb == "mend")
    members_[id].cut = false;
  else if (verb == "deliver") {
    while (deliver_next(id, n(2))) {
    }
  } else if (verb == "lose")
    std::erase_if(wire_, [&](const message& m) { return m.from.v == id && m.to.v == n(2); });
  else if (verb == "crash")
    stop(id);
  else if (verb == "restart")
    start(id);
  else if (verb == "disk")
    give_disk(id, w);
  else if (verb == "damage")
    damage(id, log_index{n(2)});
  else if (verb == "leases")
    leases_ = true;
  else if (verb == "tell")
    tell_within_ = std::chrono::milliseconds(id);
  else if (verb == "spare")
    spare_for_ = std::chrono::milliseconds(id);
  else if (verb == "wait")
    now_ += std::chrono::milliseconds(id);
  else if (verb == "repeat")
    repeat(id, n(2));
  else if (verb == "late")
    late(id, n(2));
  else if (verb == "status")
    show_status();
  else if (verb == "log")
    show_log(id);
  else if (verb == "messages")
    show_messages();
  else
    say("no such command: " + verb);
  return said_;
}

/// `new VOTERS [MEMBERS]`: members beyond the voters exist, but do not belong to the group yet.
void scenario_world::create(const words& w) {
  const auto voters = std::stoull(w[1]), all = w.size() > 2 ? std::stoull(w[2]) : voters;
  group_config first;
  for (std::uint64_t i = 1; i <= voters; ++i)
    first.voters.push_back(member_id{i});
  for (std::uint64_t i = 1; i <= all; ++i)
    members_[i].disk.config = first;
  for (std::uint64_t i = 1; i <= all; ++i)
    start(i);
}

void scenario_world::stop(std::uint64_t id) {
  auto& m = members_[id];
  m.core.reset();
  m.writing.reset();
  m.aside.reset();
  m.wake = instant::max();
}

void scenario_world::start(std::uint64_t id) {
  auto& m = members_[id];
  core_options o;
  o.self = member_id{id};
  o.seed = id;
  o.append_bytes_max = 100;
  o.lease_reads = leases_;
  o.tell_within = tell_within_;
  o.spare_for = spare_for_;
  m.state = m.disk_state;
  m.core = std::make_unique<raft_core>(o, m.disk);
  step(id, begin{});
}

void scenario_world::step(std::uint64_t id, const event& e) {
  auto& m = members_[id];
  if (!m.core) return;
  const auto before = m.core->role_now();
  const auto term = m.core->term();
  auto out = m.core->step(e, now_);
  const auto after = m.core->role_now();
  if (after != before || (after == role::leader && m.core->term() != term))
    say(num(id) + " becomes " + role_name(after) + (after == role::pre_candidate ? " after" : " in") + " term " +
        num(m.core->term().v));
  perform(id, std::move(out));
}

void scenario_world::perform(std::uint64_t id, effects e) {
  auto& m = members_[id];
  m.wake = e.wake_at;
  if (e.refused != refusal::none) say(num(id) + " refuses: " + refusal_name(e.refused));
  if (e.lost_from) say(num(id) + " loses what it held from " + num(e.lost_from->v) + " on");
  for (auto& x : e.send)
    wire_.push_back(std::move(x));
  for (const auto& x : e.apply) {
    m.state += x.payload && x.kind == entry_kind::change ? *x.payload + " " : "";
    if (x.kind == entry_kind::change) say(num(id) + " applies " + at({x.index, x.term}) + " " + *x.payload);
  }
  if (e.config) say(num(id) + " has applied the change to " + describe(*e.config));
  for (const auto& r : e.reads)
    say(num(id) +
        (r.ok ? " may serve read " + num(r.id) + " at " + num(r.index.v) : " cannot serve read " + num(r.id)));
  if (e.persist) m.writing = std::move(e.persist);
  if (e.aside) m.aside = std::move(e.aside);
  for (const auto& x : e.want_chunks)
    serve(id, x);
}

/// Of a member with others the write stays: `persist` repeats it.
void scenario_world::fail_write(std::uint64_t id) {
  auto& m = members_[id];
  const bool alone = m.core && all_members(m.core->config()).size() == 1;
  step(id, persist_failed{});
  if (alone) m.writing.reset();
}

/// `aside ID [fails]`: what became of the term and vote beside a refused write.
void scenario_world::finish_aside(std::uint64_t id, bool ok) {
  auto& m = members_[id];
  if (!m.core || !m.aside) return say(num(id) + " writes nothing aside");
  const auto a = std::move(*std::exchange(m.aside, {}));
  if (ok) {
    m.disk.hard = a.hard;
    if (m.writing && m.writing->hard) m.writing->hard = a.hard;
    wire_.insert(wire_.end(), a.then_send.begin(), a.then_send.end());
  }
  step(id, aside_written{ok});
}

void scenario_world::finish_write(std::uint64_t id) {
  auto& m = members_[id];
  if (!m.core || !m.writing) return;
  auto w = std::move(*m.writing);
  m.writing.reset();
  auto& d = m.disk;
  if (w.hard) d.hard = *w.hard;
  for (const auto& c : w.chunks)
    m.chunks = (c.offset == 0 ? "" : m.chunks) + (c.data ? *c.data : "");
  if (w.install) {
    say(num(id) + " installs the snapshot of " + at(w.install->at));
    d.base = w.install->at;
    d.log.clear();
    d.applied = w.install->at.index;
    d.config = w.install->config;
    m.state = m.disk_state = m.chunks;
  }
  if (!w.append.empty()) {
    std::erase_if(d.log, [&](const log_entry& e) { return e.index >= w.append.front().index; });
    d.log.insert(d.log.end(), w.append.begin(), w.append.end());
  }
  for (auto& x : w.then_send)
    wire_.push_back(std::move(x));
  step(id, persisted{});
}

bool scenario_world::deliver_next(std::uint64_t from, std::uint64_t to) {
  auto it =
      std::find_if(wire_.begin(), wire_.end(), [&](const message& m) { return m.from.v == from && m.to.v == to; });
  if (it == wire_.end()) return false;
  auto m = std::move(*it);
  wire_.erase(it);
  step(to, receive{std::move(m)});
  return true;
}

/// `disk ID TERM VOTE T1 T2+ …`: it comes back from a disk with this term, vote and log; each entry says what it is. A
/// plus makes an entry so long that it goes in a message of its own.
void scenario_world::give_disk(std::uint64_t id, const words& w) {
  auto& d = members_[id].disk;
  d.hard = {log_term{std::stoull(w[2])}, member_id{std::stoull(w[3])}, {}};
  d.log.clear();
  for (std::size_t i = 4; i < w.size(); ++i) {
    const log_position here{log_index{i - 3}, log_term{std::stoull(w[i])}};
    const auto payload = at(here) + (w[i].back() == '+' ? std::string(80, '.') : "");
    d.log.push_back({here.index, here.term, entry_kind::change, std::make_shared<const std::string>(payload)});
  }
  members_[id].writing.reset();
  start(id);
}

/// It comes back from a disk that kept term and vote, but nothing of the log behind `keep`.
void scenario_world::damage(std::uint64_t id, log_index keep) {
  auto& m = members_[id];
  std::erase_if(m.disk.log, [&](const log_entry& e) { return e.index > keep; });
  m.disk.hard.commit = std::min(m.disk.hard.commit, keep);
  m.disk.recovering = true;
  m.writing.reset();
  start(id);
}

/// The network delivers once more, later, what is on its way.
void scenario_world::repeat(std::uint64_t from, std::uint64_t to) {
  std::vector<message> again;
  std::copy_if(wire_.begin(), wire_.end(), std::back_inserter(again),
               [&](const message& m) { return m.from.v == from && m.to.v == to; });
  wire_.insert(wire_.end(), again.begin(), again.end());
}

/// The oldest message on its way is overtaken by all others.
void scenario_world::late(std::uint64_t from, std::uint64_t to) {
  auto it =
      std::find_if(wire_.begin(), wire_.end(), [&](const message& m) { return m.from.v == from && m.to.v == to; });
  if (it == wire_.end()) return;
  auto m = std::move(*it);
  wire_.erase(it);
  wire_.push_back(std::move(m));
}

/// All writes end and all messages arrive, until nothing moves any more.
void scenario_world::settle() {
  for (int rounds = 0; rounds < 10000; ++rounds) {
    bool moved = false;
    for (auto& [id, m] : members_) {
      if (!m.core || m.manual || (!m.writing && !m.aside)) continue;
      if (m.aside)
        finish_aside(id, true);
      else
        finish_write(id);
      moved = true;
    }
    if (!wire_.empty()) {
      auto m = std::move(wire_.front());
      wire_.pop_front();
      if (!members_[m.from.v].cut && !members_[m.to.v].cut) step(m.to.v, receive{std::move(m)});
      moved = true;
    }
    if (!moved) return;
  }
  say("does not settle");
}

/// Time moves on for this member alone, until it asks for votes.
void scenario_world::elect(std::uint64_t id) {
  auto& m = members_[id];
  if (!m.core || m.wake == instant::max()) {
    say(num(id) + " waits for nothing");
    return;
  }
  now_ = std::max(now_, m.wake);
  step(id, tick{});
}

/// Time passes for all, in steps; messages and writes move freely.
void scenario_world::elapse(std::uint64_t ms) {
  const auto end = now_ + std::chrono::milliseconds(ms);
  while (now_ < end) {
    now_ = std::min(end, now_ + 10ms);
    for (auto& [id, m] : members_)
      if (m.core && m.wake <= now_) step(id, tick{});
    settle();
  }
}

void scenario_world::serve(std::uint64_t id, const want_chunk& w) {
  auto& m = members_[id];
  const auto applied = m.core->log().applied();
  const log_position here{applied, *m.core->log().term_at(applied)};
  const std::size_t offset = w.of == here ? w.offset : 0; // the state went on: another snapshot
  const auto piece = m.state.substr(std::min(offset, m.state.size()), 4);
  const bool last = offset + piece.size() >= m.state.size();
  step(id, chunk_read{w.to, {{here, m.core->config()}, offset, std::make_shared<const std::string>(piece), last}});
}

/// `change ID +4 ~5 -2`: add voter 4, add learner 5, remove 2.
void scenario_world::change(std::uint64_t id, const words& w) {
  change_members c;
  for (std::size_t i = 2; i < w.size(); ++i) {
    const auto what = w[i][0] == '+'   ? members_change::op::add_voter
                      : w[i][0] == '~' ? members_change::op::add_learner
                                       : members_change::op::remove;
    c.change.steps.push_back({what, member_id{std::stoull(w[i].substr(1))}});
  }
  step(id, c);
}

void scenario_world::show_status() {
  for (auto& [id, m] : members_) {
    if (!m.core) {
      say(num(id) + ": down");
      continue;
    }
    const auto& c = *m.core;
    say(num(id) + ": " + role_name(c.role_now()) + " term " + num(c.term().v) + " leader " + num(c.leader().v) +
        " last " + at(c.log().last()) + " commit " + num(c.log().commit().v) + " state [" + m.state + "] " +
        describe(c.config()) + (c.recovering() ? ", recovering" : ""));
  }
}

void scenario_world::show_log(std::uint64_t id) {
  const auto& log = members_[id].core->log();
  std::string s = num(id) + ": base " + at(log.base()) + " entries";
  for (auto i = log.base().index.next(); i <= log.last().index; i = i.next())
    s += " " + at({i, log.at(i).term}) + (log.at(i).kind == entry_kind::change ? "=" + *log.at(i).payload : "");
  say(s + "; durable to " + num(log.stable().v));
}

void scenario_world::show_messages() {
  for (const auto& m : wire_)
    say(describe(m));
}

} // namespace troupe::raft::test
