#include "store/state_machine.hpp"

#include "store/mutations.hpp"

#include <algorithm>
#include <charconv>

namespace troupe::store {

state_machine::table& state_machine::table_of(std::string_view name) {
  auto it = tables_.find(name);
  if (it == tables_.end())
    it = tables_.emplace(std::string(name), table{std::make_shared<const std::string>(name), {}}).first;
  return it->second;
}

const state_machine::table* state_machine::find(std::string_view name) const {
  auto it = tables_.find(name);
  return it == tables_.end() ? nullptr : &it->second;
}

object_ptr state_machine::get(const key_ref& k) const {
  const auto* t = find(k.table);
  return t ? t->objects.get(k.ns, k.name) : nullptr;
}

void state_machine::load(std::string_view name, object_ptr o) { table_of(name).objects.put(std::move(o), stamp_); }

void state_machine::load_sorted(std::string_view name, std::vector<object_ptr> objects) {
  auto& into = table_of(name).objects;
  if (into.size() == 0) {
    into = tree::of_sorted(std::move(objects), stamp_);
    return;
  }
  for (auto& o : objects)
    into.put(std::move(o), stamp_);
}

bool state_machine::compares_hold(txn_result& out) {
  for (std::size_t i = 0; i < scratch_.compares.size(); ++i) {
    const auto& c = scratch_.compares[i];
    auto now = get(c.key);
    if ((now ? now->mod : 0) == c.mod) continue;
    out.failed_compare = i;
    out.current = std::move(now);
    return false;
  }
  return true;
}

void state_machine::write(const txn_ref::put_ref& p, txn_result& out, std::vector<change_record>& changes) {
  auto& t = table_of(p.key.table);
  auto before = t.objects.get(p.key.ns, p.key.name);
  auto o = std::make_shared<object>();
  o->ns = p.key.ns;
  o->name = p.key.name;
  o->bytes = splice_revision(p.bytes, p.rv_offset, rev_);
  o->mod = rev_;
  o->created = before ? before->created : rev_;
  o->rv_offset = p.rv_offset < p.bytes.size() ? p.rv_offset : std::string::npos;
  t.objects.put(o, stamp_);
  out.written.push_back(o);
  const auto what = before ? event_type::modified : event_type::added;
  changes.push_back({t.name, what, std::move(o), std::move(before)});
}

void state_machine::remove(const key_ref& k, txn_result& out, std::vector<change_record>& changes) {
  auto& t = table_of(k.table);
  auto before = t.objects.erase(k.ns, k.name, stamp_);
  if (!before) return;
  auto last = std::make_shared<object>();
  last->ns = before->ns;
  last->name = before->name;
  last->bytes = respliced(*before, rev_);
  last->mod = rev_;
  last->created = before->created;
  last->rv_offset = before->rv_offset;
  out.erased.push_back(last);
  changes.push_back({t.name, event_type::deleted, std::move(last), std::move(before)});
}

txn_result state_machine::apply(const log_entry& e, std::vector<change_record>& changes) {
  txn_result out;
  out.rev = rev_;
  if (e.kind != entry_kind::change) return out;
  if (!e.payload || !decode_txn(*e.payload, scratch_)) {
    out.error = errors::internal("a committed log entry is not a transaction this version can read");
    return out;
  }
  if (scratch_.fence_term != 0 && scratch_.fence_term != e.term.v && !mutated(mutation::skip_fence)) {
    out.error = errors::conflict({}, "", "");
    out.error.message = "refused: written for term " + std::to_string(scratch_.fence_term) +
                        ", but the group is in term " + std::to_string(e.term.v);
    return out;
  }
  if (!compares_hold(out) && !mutated(mutation::skip_compare)) return out;
  out.ok = true;
  const bool changes_something =
      !scratch_.puts.empty() ||
      std::any_of(scratch_.erases.begin(), scratch_.erases.end(), [&](const key_ref& k) { return get(k) != nullptr; });
  if (!changes_something) return out;
  out.rev = ++rev_;
  out.written.reserve(scratch_.puts.size());
  for (const auto& p : scratch_.puts)
    write(p, out, changes);
  for (const auto& k : scratch_.erases)
    remove(k, out, changes);
  return out;
}

std::shared_ptr<const state_view> state_machine::snapshot() {
  std::vector<table_root> roots;
  roots.reserve(tables_.size());
  for (const auto& [name, t] : tables_)
    roots.push_back({t.name, t.objects});
  ++stamp_; // every node reachable now is shared from here on
  return std::make_shared<const state_view>(std::move(roots), rev_);
}

} // namespace troupe::store
