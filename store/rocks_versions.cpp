#include "store/rocks_impl.hpp"
#include "store/rocks_keys.hpp"

namespace troupe::store {

bool parse_history(std::string_view v, std::vector<history_item>& out) {
  byte_reader in(v);
  out.clear();
  while (!in.done()) {
    auto& h = out.emplace_back();
    const auto what = in.byte();
    h.what = static_cast<event_type>(what);
    h.key.table = in.text();
    h.key.ns = in.text();
    h.key.name = in.text();
    h.before = in.varint();
    if (in.bad() || what > static_cast<std::uint8_t>(event_type::deleted)) return false;
  }
  return true;
}

result<object_ptr> rocks_backend::impl::version(const key_ref& k, revision rev) {
  const auto key = rocks::object_key(k.table, k.ns, k.name, rev);
  rocksdb::PinnableSlice v;
  const auto s = db->db().Get({}, (*db)[f_objects], slice(key), &v);
  if (s.IsNotFound()) return object_ptr{};
  rocks::object_key_ref ref;
  object_ptr o;
  if (!s.ok() || !rocks::parse_object_key(key, ref) || !rocks::parse_object(ref, text(v), o))
    return damaged("object " + std::string(k.table) + "/" + std::string(k.ns) + "/" + std::string(k.name) +
                       " at revision " + std::to_string(rev),
                   s.ok() ? "unreadable" : s.ToString());
  return o;
}

result<object_ptr> rocks_backend::get_at(const key_ref& k, revision rev) {
  std::shared_lock g(impl_->use);
  if (!impl_->db) return errors::unavailable("the store is not open: its disk refuses to work");
  object_ptr found;
  const std::string prefix = rocks::object_prefix(k.table, k.ns, k.name);
  auto it = impl_->db->iterate(f_objects);
  if (rev < impl_->horizon) return errors::expired("revision " + std::to_string(rev) + " has been compacted");
  it->Seek(rocks::object_key(k.table, k.ns, k.name, rev));
  rocks::object_key_ref ref;
  if (it->Valid() && it->key().starts_with(prefix) &&
      (!rocks::parse_object_key(text(it->key()), ref) || !rocks::parse_object(ref, text(it->value()), found)))
    return damaged("object " + it->key().ToString(true), "unreadable");
  if (auto r = impl_->db->ended_well(*it, "objects"); !r) return r.error();
  return found;
}

result<void> rocks_backend::scan_at(std::string_view table, std::string_view ns, std::string_view after_ns,
                                    std::string_view after_name, revision rev,
                                    const std::function<bool(const object_ptr&)>& fn) {
  std::shared_lock g(impl_->use);
  if (!impl_->db) return errors::unavailable("the store is not open: its disk refuses to work");
  std::string range(table);
  range.push_back('\0');
  if (!ns.empty()) range.append(ns).push_back('\0');
  std::string from = range;
  if (!after_name.empty()) {
    from = rocks::object_prefix(table, after_ns, after_name);
    from.append(8, '\xff'); // behind every version of that object
  }
  // The iterator holds its snapshot before the horizon is asked: what passes here cannot vanish below us.
  auto it = impl_->db->iterate(f_objects);
  if (rev < impl_->horizon) return errors::expired("revision " + std::to_string(rev) + " has been compacted");
  std::string done; // prefix whose state at `rev` has been decided
  for (it->Seek(from); it->Valid() && it->key().starts_with(range); it->Next()) {
    rocks::object_key_ref k;
    object_ptr o;
    if (!rocks::parse_object_key(text(it->key()), k))
      return damaged("object " + it->key().ToString(true), "unreadable");
    if (k.rev > rev || k.prefix == done) continue;
    done = k.prefix;
    if (!rocks::parse_object(k, text(it->value()), o))
      return damaged("object " + it->key().ToString(true), "unreadable");
    if (o && !fn(o)) return {};
  }
  if (auto r = impl_->db->ended_well(*it, "objects"); !r) return r.error();
  return {};
}

result<bool> rocks_backend::compact(revision target) {
  std::shared_lock g(impl_->use);
  if (!impl_->db) return errors::unavailable("the store is not open: its disk refuses to work");
  auto& m = *impl_;
  if (target <= m.horizon) return false;
  rocksdb::WriteBatch b;
  const auto& db = *m.db;
  std::vector<history_item> items;
  std::size_t steps = 0;
  revision reached = target;
  auto it = m.db->iterate(f_history);
  std::string from;
  put_be64(from, m.horizon + 1);
  for (it->Seek(from); it->Valid(); it->Next()) {
    const auto rev = get_be64(text(it->key()));
    if (rev > target) break;
    if (steps++ >= limits::compact_batch_revisions_max) {
      reached = rev - 1;
      break;
    }
    if (!parse_history(text(it->value()), items))
      return damaged("history at revision " + std::to_string(rev), "unreadable");
    for (const auto& h : items) {
      if (h.before != 0) b.Delete(db[f_objects], rocks::object_key(h.key.table, h.key.ns, h.key.name, h.before));
      if (h.what == event_type::deleted)
        b.Delete(db[f_objects], rocks::object_key(h.key.table, h.key.ns, h.key.name, rev));
    }
    b.Delete(db[f_history], it->key());
  }
  if (auto r = m.db->ended_well(*it, "history"); !r) return r.error();
  std::string mark;
  put_be64(mark, reached);
  b.Put(db[f_meta], "horizon", mark);
  m.horizon = reached; // before the deletes: a reader below it must be refused first
  if (auto r = m.db->write(b); !r) return r.error();
  return reached < target;
}

} // namespace troupe::store
