// history_builder: writes histories by hand, one record after the other, each a millisecond after the last.
// Owner:  the test.
// Units:  -
// Errors: -
// Source: ours.
#pragma once

#include "tests/sim/checkers/checkers.hpp"

#include <string>
#include <utility>
#include <vector>

namespace troupe::sim::test {

class history_builder {
public:
  history h;

  stamp now() {
    ++order_;
    return {std::chrono::milliseconds(order_), order_};
  }

  // ---- operations: begin_* returns the operation's number, end_* answers it.
  std::size_t begin_read(std::uint64_t client, std::uint32_t unit = 1) {
    operation o;
    o.what = operation::kind::read;
    return begin(std::move(o), client, unit);
  }
  std::size_t begin_write(std::uint64_t client, std::vector<slot_value> puts, std::vector<slot_value> compares = {},
                          std::uint32_t unit = 1) {
    operation o;
    o.what = operation::kind::write;
    o.puts = std::move(puts);
    o.compares = std::move(compares);
    return begin(std::move(o), client, unit);
  }
  void end_read(std::size_t op, std::vector<slot_value> seen, revision rev = 0) {
    h.operations[op].seen = std::move(seen);
    h.operations[op].seen_rev = rev;
    end(op, outcome::done);
  }
  void end_write(std::size_t op, revision rev = 0) {
    h.operations[op].seen_rev = rev;
    end(op, outcome::done);
  }
  void decline(std::size_t op, slot_value seen) {
    h.operations[op].seen = {seen};
    end(op, outcome::declined);
  }
  void end(std::size_t op, outcome result) {
    h.operations[op].result = result;
    h.operations[op].completed = now();
  }
  // Whole operations without overlap.
  void write(std::uint64_t client, std::uint64_t value, revision rev = 0) {
    end_write(begin_write(client, {{1, value}}), rev);
  }
  void cas(std::uint64_t client, std::uint64_t from, std::uint64_t to) {
    end_write(begin_write(client, {{1, to}}, {{1, from}}));
  }
  void read(std::uint64_t client, std::uint64_t value, revision rev = 0) {
    end_read(begin_read(client), {{1, value}}, rev);
  }

  // ---- the log
  void store(std::uint64_t member, std::uint64_t index, std::uint64_t term, std::uint64_t payload = 7,
             std::uint32_t life = 1) {
    stored_entry e;
    e.when = now(), e.member = member_id{member}, e.life = life, e.index = log_index{index}, e.term = log_term{term};
    e.payload = payload;
    h.stored.push_back(e);
  }
  applied_entry& apply(std::uint64_t member, std::uint64_t index, std::uint64_t term, std::uint64_t payload = 7) {
    applied_entry e;
    e.when = now(), e.member = member_id{member}, e.life = 1, e.index = log_index{index}, e.term = log_term{term};
    e.payload = payload, e.rev = index, e.state = index * 100;
    h.applied.push_back(e);
    return h.applied.back();
  }
  state_adopted& start(std::uint64_t member, std::uint32_t life = 1, std::uint64_t index = 0, std::uint64_t term = 0) {
    state_adopted a;
    a.when = now(), a.member = member_id{member}, a.life = life, a.index = log_index{index}, a.term = log_term{term};
    a.rev = index, a.state = index * 100;
    h.adopted.push_back(a);
    return h.adopted.back();
  }
  void lead(std::uint64_t member, std::uint64_t term, std::uint32_t life = 1) {
    be(member, term, role_change::role::leader, life);
  }
  /// It leads, and others hear of it.
  void reign(std::uint64_t member, std::uint64_t term, std::uint32_t life = 1) {
    lead(member, term, life);
    store(member, term, term, 7, life);
  }
  void follow(std::uint64_t member, std::uint64_t term) { be(member, term, role_change::role::follower, 1); }

  // ---- objects and watches
  void changed(revision rev, const std::string& name, std::uint64_t content = 5,
               store::event_type what = store::event_type::modified) {
    change c;
    c.when = now(), c.rev = rev, c.index = log_index{rev}, c.table = h.name("pods"), c.key = h.name("pods/ns/" + name);
    c.content = content, c.what = what;
    h.changes.push_back(c);
  }
  watch_step& watch(watch_step::kind what, revision rev, std::uint32_t watcher = 1) {
    watch_step s;
    s.what = what, s.when = now(), s.watcher = watcher, s.table = h.name("pods"), s.rev = rev;
    h.watches.push_back(s);
    return h.watches.back();
  }
  watch_step& event(revision rev, const std::string& name, std::uint32_t batch = 1, std::uint32_t watcher = 1) {
    auto& s = watch(watch_step::kind::event, rev, watcher);
    s.key = h.name("pods/ns/" + name), s.content = 5, s.type = store::event_type::modified, s.batch = batch;
    return s;
  }
  void ack(revision rev, const std::string& name, std::uint64_t content = 5, bool erased = false) {
    acknowledged a;
    a.when = now(), a.client = 3, a.member = member_id{1}, a.rev = rev, a.key = h.name("pods/ns/" + name);
    a.content = content, a.erased = erased;
    h.acks.push_back(a);
  }

private:
  std::size_t begin(operation o, std::uint64_t client, std::uint32_t unit) {
    o.client = client;
    o.unit = unit;
    o.member = member_id{1};
    o.invoked = now();
    h.operations.push_back(std::move(o));
    return h.operations.size() - 1;
  }
  void be(std::uint64_t member, std::uint64_t term, role_change::role what, std::uint32_t life) {
    role_change r;
    r.when = now(), r.member = member_id{member}, r.term = log_term{term}, r.now = what, r.life = life;
    h.roles.push_back(r);
  }
  std::uint64_t order_ = 0;
};

/// What the checker says of the whole history; empty: nothing.
inline std::string verdict(std::unique_ptr<checker> c, const history& h) {
  std::vector<std::unique_ptr<checker>> one;
  one.push_back(std::move(c));
  judge j(std::move(one));
  j.finish(h);
  const auto all = j.verdicts();
  return all.empty() ? "" : all[0].what;
}

} // namespace troupe::sim::test
