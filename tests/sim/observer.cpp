#include "tests/sim/observer.hpp"

#include "actors/raft/write_ledger.hpp"
#include "store/txn_codec.hpp"

namespace troupe::sim {

std::uint64_t hash_of_object(std::string_view table, const store::object& o) {
  auto h = hash_of(table);
  h = hash_of(o.ns, h);
  h = hash_of(o.name, h);
  return hash_of(o.bytes, h ^ o.mod * 0x9e3779b97f4a7c15ull);
}

std::uint64_t hash_of_state(const store::view& v) {
  std::uint64_t sum = 0;
  for (const auto& table : v.tables())
    v.scan(table, {}, [&](const store::object_ptr& o) {
      sum += hash_of_object(table, *o);
      return true;
    });
  return sum;
}

void observer::recovered(const store::recovered_state& s, const platter& p) {
  state_ = 0;
  for (const auto& [key, versions] : p.objects)
    if (!versions.back().deleted)
      state_ += hash_of_object(std::string_view(key).substr(0, key.find('\0')), *versions.back().object);
  applied_ = s.applied.at.index;
  r_.adopted({{}, who_, life_, false, s.applied.at.index, s.applied.at.term, s.applied.rev, state_, !s.damage.empty()});
}

void observer::written(const store::write_group& g) {
  // Before the entries that follow it in the same group; its state is known when it is installed.
  if (g.install && g.applied)
    r_.adopted({{}, who_, life_, true, g.applied->at.index, g.applied->at.term, g.applied->rev, 0, false});
  for (const auto& e : g.append)
    r_.stored({{}, who_, life_, e.index, e.term, e.kind, e.payload ? hash_of(*e.payload) : 0});
}

void observer::note_changes(const store::log_entry& e, std::span<const store::change_record> changes) {
  if (e.index <= first_->upto) return;
  first_->upto = e.index;
  if (e.kind == store::entry_kind::members) ++r_.sums.config_changes;
  for (const auto& c : changes) {
    const auto key = r_.log.name(*c.table + "/" + c.current->ns + "/" + c.current->name);
    r_.changed({{}, c.current->mod, e.index, r_.log.name(*c.table), key, c.what, hash_of(c.current->bytes)});
  }
}

void observer::applied(const store::log_entry& e, std::span<const store::change_record> changes, revision rev) {
  for (const auto& c : changes) {
    if (c.previous) state_ -= hash_of_object(*c.table, *c.previous);
    if (c.what != store::event_type::deleted) state_ += hash_of_object(*c.table, *c.current);
  }
  applied_ = e.index;
  applied_entry a;
  a.member = who_;
  a.life = life_;
  a.index = e.index;
  a.term = e.term;
  a.kind = e.kind;
  a.payload = e.payload ? hash_of(*e.payload) : 0;
  a.rev = rev;
  a.state = state_;
  raft::write_id id;
  std::string_view text;
  store::txn_ref txn;
  if (e.kind == store::entry_kind::change && e.payload && raft::split_write(*e.payload, id, text) &&
      store::decode_txn(text, txn))
    a.fence = txn.fence_term;
  r_.applied(a);
  note_changes(e, changes);
}

void observer::installed(const store::applied_mark& at, const store::view& v) {
  state_ = hash_of_state(v);
  applied_ = at.at.index;
  r_.adopted({{}, who_, life_, true, at.at.index, at.at.term, at.rev, state_, false});
}

void observer::said(const group_status& s) {
  using role = role_change::role;
  role now = role::follower;
  switch (s.role) {
  case raft::role::follower: now = role::follower; break;
  case raft::role::pre_candidate: now = role::pre_candidate; break;
  case raft::role::candidate: now = role::candidate; break;
  case raft::role::leader: now = role::leader; break;
  }
  r_.role({{}, who_, life_, now, s.term, s.leader, s.serving});
}

} // namespace troupe::sim
