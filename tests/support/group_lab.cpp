#include "tests/support/group_lab.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace troupe::test {

using readers_wake = caf::atom_constant<caf::atom("readers")>;
using inner_raft = raft_actor::extend<caf::reacts_to<readers_wake>>;

constexpr std::uint64_t before_the_log = 10000; // entries that are said to have gone before, so that one can lag

struct lab_raft {
  static inner_raft::behavior_type behavior(inner_raft::pointer self, group_lab* lab, lab_member* m) {
    m->group->on_readers([to = inner_raft(self)] { caf::anon_send(to, readers_wake::value); });
    return {
        [lab, m](propose_ptr& p, const txn_sink_actor& sink) { lab->propose_at(*m, *p, sink); },
        [](raft::parcel_ptr&) {},
        [lab, m](const member_command_ptr& c) -> status_ptr {
          return std::make_shared<const status>(lab->command_at(*m, *c));
        },
        [](get_state_copy) -> state_copy_ptr { return nullptr; },
        [lab, m](get_raft_status) { return lab->status_of(*m); },
        [](flush_and_stop) { return true; },
        [lab, m](readers_wake) { lab->readers_at(*m); },
    };
  }
};

group_lab::group_lab(std::size_t n) {
  for (std::uint64_t i = 1; i <= n; ++i) {
    auto m = std::make_unique<lab_member>();
    m->id = store::member_id{i};
    m->state = std::make_shared<store::published_view>(m->machine.snapshot());
    m->hub = std::make_shared<store::watch_window>();
    m->hub->start(0, 0);
    m->raft = caf::actor_cast<raft_actor>(system.spawn(lab_raft::behavior, this, m.get()));
    members_.push_back(std::move(m));
    seats[i] = {};
  }
  tell();
}

group_lab::~group_lab() {
  for (auto& m : members_) {
    m->group->on_readers(nullptr);
    caf::anon_send_exit(m->raft, caf::exit_reason::kill);
    m->raft = nullptr;
    m->writes.clear();
  }
  run();
}

void group_lab::end(const caf::actor& a) {
  caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
  run();
}

void group_lab::step(std::chrono::milliseconds d) {
  for (auto left = d; left.count() > 0;) {
    const auto part = std::min(left, std::chrono::milliseconds{50});
    scheduler.advance_time(part);
    run();
    left -= part;
  }
}

void group_lab::tell() {
  for (auto& m : members_) {
    group_status s;
    s.member = m->id;
    s.leader = store::member_id{leader_};
    s.term = store::log_term{term_};
    s.role = m->id.v == leader_ ? raft::role::leader : raft::role::follower;
    s.serving = m->id.v == leader_;
    s.alone = members_.size() == 1;
    m->group->set(s);
  }
}

void group_lab::lead(std::uint64_t i) {
  release(i); // whoever leads holds everything
  leader_ = i;
  ++term_;
  tell();
}

void group_lab::leaderless() {
  leader_ = 0;
  tell();
}

void group_lab::release(std::uint64_t i) {
  at(i).held = false;
  catch_up(at(i));
}

bool group_lab::apply(const store::txn& t) {
  auto& m = at(leader_ == 0 ? 1 : leader_);
  const auto before = m.machine.rev();
  append(t);
  return m.machine.rev() > before;
}

void group_lab::append(const store::txn& t) {
  log_.push_back({store::log_index{log_.size() + 1}, store::log_term{term_}, store::entry_kind::change,
                  std::make_shared<const std::string>(store::encode_txn(t))});
  for (auto& each : members_)
    catch_up(*each);
}

void group_lab::propose_at(lab_member& m, propose& p, const txn_sink_actor& sink) {
  ++m.proposals;
  if (leader_ == 0) {
    auto batch = std::make_shared<txns_done>();
    store::txn_result r;
    r.error = errors::unavailable("the group of masters has no leader", 0);
    batch->items.emplace_back(p.ticket, std::move(r));
    caf::anon_send(sink, std::move(batch));
    return;
  }
  m.writes.push_back({log_.size() + 1, p.ticket, sink});
  append(p.change);
}

void group_lab::readers_at(lab_member& m) {
  for (auto& done : m.group->take_readers()) {
    ++m.barriers;
    if (leader_ == 0)
      done(errors::unavailable("the group of masters has no leader", 0));
    else
      m.readers.push_back({log_.size(), std::move(done)});
  }
  catch_up(m);
}

void group_lab::catch_up(lab_member& m) {
  if (m.held) return;
  auto answers = std::exchange(m.writes, {});
  while (m.applied < log_.size()) {
    std::vector<store::change_record> changes;
    auto r = m.machine.apply(log_[m.applied++], changes);
    m.state->set(m.machine.snapshot());
    m.hub->append(changes, m.machine.rev());
    for (const auto& w : answers) {
      if (w.index != m.applied) continue;
      auto batch = std::make_shared<txns_done>();
      batch->items.emplace_back(w.ticket, r);
      caf::anon_send(w.sink, std::move(batch));
    }
  }
  for (auto& r : std::exchange(m.readers, {}))
    r.done(status::none());
}

status group_lab::command_at(lab_member& m, const member_command& c) {
  if (m.id.v != leader_) return errors::unavailable("member " + std::to_string(leader_) + " leads the group");
  static constexpr const char* words[] = {"add_learner ", "promote ", "remove ", "transfer "};
  commands.push_back(words[static_cast<std::size_t>(c.what)] + std::to_string(c.who.v));
  switch (c.what) {
  case member_command::op::add_learner: seats[c.who.v] = {false, 5000, 5}; break;
  case member_command::op::promote: seats[c.who.v].voter = true; break;
  case member_command::op::remove: seats.erase(c.who.v); break;
  case member_command::op::transfer: lead(c.who ? c.who.v : leader_ % members_.size() + 1); break;
  }
  return status::none();
}

std::string group_lab::status_of(const lab_member& m) const {
  const auto last = before_the_log + log_.size();
  json::array members;
  for (const auto& [id, place] : seats) {
    json::object one{{"id", id}, {"voter", place.voter}, {"self", id == m.id.v}};
    if (m.id.v == leader_) {
      one["match"] = last - place.lag;
      if (id != leader_) one["lastContactMs"] = place.contact_ms;
    }
    members.push_back(std::move(one));
  }
  return json::serialize(json::object{{"role", m.id.v == leader_ ? "leader" : "follower"},
                                      {"member", m.id.v},
                                      {"leader", leader_},
                                      {"term", term_},
                                      {"lastIndex", last},
                                      {"commitIndex", last},
                                      {"appliedIndex", before_the_log + m.applied},
                                      {"members", std::move(members)}});
}

} // namespace troupe::test
