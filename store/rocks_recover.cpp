#include "store/rocks_impl.hpp"
#include "store/rocks_keys.hpp"

#include <algorithm>
#include <thread>

namespace troupe::store {

namespace {

constexpr std::uint64_t split_bytes_min = 8u << 20; // less is read by one thread

struct loaded_table {
  std::string name;
  std::vector<object_ptr> objects; // ascending
};

/// The newest version of each object with from <= key < until, in order. `until` empty: to the end.
result<void> read_range(rocks_db& db, const std::string& from, const std::string& until,
                        std::vector<loaded_table>& out) {
  rocksdb::ReadOptions ro;
  ro.verify_checksums = true;
  ro.readahead_size = 2 << 20;
  ro.fill_cache = false;
  const auto bound = slice(until);
  if (!until.empty()) ro.iterate_upper_bound = &bound;
  auto it = db.iterate(f_objects, ro);
  std::string last_prefix;
  for (it->Seek(from); it->Valid(); it->Next()) {
    rocks::object_key_ref k;
    if (!rocks::parse_object_key(text(it->key()), k))
      return damaged(db.dir() + ": object key " + it->key().ToString(true), "unreadable");
    if (k.prefix == last_prefix) continue; // an older version
    last_prefix = k.prefix;
    object_ptr o;
    if (!rocks::parse_object(k, text(it->value()), o))
      return damaged(db.dir() + ": object " + it->key().ToString(true), "unreadable");
    if (!o) continue;
    if (out.empty() || out.back().name != k.table) out.push_back({std::string(k.table), {}});
    out.back().objects.push_back(std::move(o));
  }
  return db.ended_well(*it, "objects behind " + slice(last_prefix).ToString(true));
}

/// A key that parts the objects into two halves of about the same size, between two objects; empty: not worth it.
std::string middle_of(rocks_db& db) {
  std::vector<rocksdb::LiveFileMetaData> files;
  db.db().GetLiveFilesMetaData(&files);
  std::erase_if(files, [](const auto& f) { return f.column_family_name != "objects"; });
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.smallestkey < b.smallestkey; });
  std::uint64_t total = 0, before = 0;
  for (const auto& f : files)
    total += f.size;
  if (total < split_bytes_min) return {};
  for (const auto& f : files) {
    rocks::object_key_ref k;
    if (before >= total / 2) return rocks::parse_object_key(f.smallestkey, k) ? std::string(k.prefix) : std::string{};
    before += f.size;
  }
  return {};
}

} // namespace

result<recovered_state> rocks_backend::impl::recover(state_machine& objects) {
  recovered_state out;
  auto r = recover_meta(out);
  if (r) r = recover_log(out);
  if (r) r = recover_objects(objects);
  if (r) {
    objects.set_revision(out.applied.rev);
    auto past = read_history(objects, limits::refill_events_max, limits::refill_bytes_max);
    if (!past) r = past.error();
  }
  if (!r && is_damage(r.error()) && repairable()) {
    objects = {};
    out = {};
    if (auto begun = set_aside(r.error().message); !begun) return begun.error();
    r = recover_meta(out);
  }
  if (!r) return r.error();
  out.damage = who.damage;
  return out;
}

result<void> rocks_backend::impl::recover_meta(recovered_state& out) {
  struct item {
    const char* key;
    std::function<bool(std::string_view)> decode;
    bool needed;
  };
  const item items[] = {
      {"applied", [&](std::string_view v) { return decode_mark(v, out.applied); }, true},
      {"hard", [&](std::string_view v) { return decode_hard(v, out.hard); }, false},
      {"log_base", [&](std::string_view v) { return decode_position(v, out.base); }, false},
      {"horizon", [&](std::string_view v) { return v.size() == 8 && ((horizon = get_be64(v)), true); }, false},
  };
  for (const auto& i : items) {
    auto v = db->meta(i.key);
    if (!v) return v.error();
    if (*v ? !i.decode(**v) : i.needed) return damaged(db->dir() + ": meta/" + i.key, *v ? "unreadable" : "missing");
  }
  // The member file is written first: the data may lag behind it, never the other way round.
  if (out.hard.term <= who.term) {
    out.hard.term = who.term;
    out.hard.vote = who.vote;
  }
  base = out.base;
  last_on_disk = base.index;
  return {};
}

result<void> rocks_backend::impl::recover_log(recovered_state& out) {
  rocksdb::ReadOptions ro;
  ro.verify_checksums = true;
  ro.readahead_size = 1 << 20;
  ro.fill_cache = false;
  auto it = db->iterate(f_log, ro);
  auto next = out.base.index.next();
  const auto at = [&](log_index i) { return db->dir() + ": log entry " + std::to_string(i.v); };
  for (it->Seek(rocks::log_key(next)); it->Valid(); it->Next(), next = next.next()) {
    const auto index = log_index{get_be64(text(it->key()))};
    if (index != next) return damaged(at(next), "missing; the next one is " + std::to_string(index.v));
    auto& e = out.log.emplace_back();
    if (!rocks::parse_log(index, text(it->value()), e))
      return damaged(at(index), "checksum mismatch over " + std::to_string(it->value().size()) + " bytes");
  }
  if (auto r = db->ended_well(*it, "log entry " + std::to_string(next.v)); !r) return r;
  if (out.applied.at.index > next.prev()) return damaged(at(out.applied.at.index), "applied, but missing from the log");
  last_on_disk = next.prev();
  return {};
}

result<void> rocks_backend::impl::recover_objects(state_machine& objects) {
  const auto middle = middle_of(*db);
  std::vector<loaded_table> front, back;
  result<void> of_back;
  std::thread second;
  if (!middle.empty()) second = std::thread([&] { of_back = read_range(*db, middle, {}, back); });
  auto r = read_range(*db, {}, middle, front);
  if (second.joinable()) second.join();
  if (!r) return r;
  if (!of_back) return of_back;
  if (!front.empty() && !back.empty() && front.back().name == back.front().name) {
    auto& into = front.back().objects;
    into.insert(into.end(), std::make_move_iterator(back.front().objects.begin()),
                std::make_move_iterator(back.front().objects.end()));
    back.erase(back.begin());
  }
  for (auto* half : {&front, &back})
    for (auto& t : *half)
      objects.load_sorted(t.name, std::move(t.objects));
  return {};
}

result<history_window> rocks_backend::impl::read_history(const state_machine& objects, std::size_t events_max,
                                                         std::size_t bytes_max) {
  history_window out;
  out.floor = objects.rev();
  auto it = db->iterate(f_history);
  std::vector<history_item> items;
  std::size_t bytes = 0;
  // Backwards, so that the newest fit; versions that are not in memory are read from disk.
  for (it->SeekToLast(); it->Valid(); it->Prev()) {
    const auto rev = get_be64(text(it->key()));
    if (rev <= horizon || rev > objects.rev()) break;
    if (rev != out.floor) break; // a gap: all behind it is unknown
    if (!parse_history(text(it->value()), items))
      return damaged("history at revision " + std::to_string(rev), "unreadable");
    if (out.changes.size() + items.size() > events_max || bytes > bytes_max) break;
    for (auto h = items.rbegin(); h != items.rend(); ++h) {
      change_record c;
      c.table = std::make_shared<const std::string>(h->key.table);
      c.what = h->what;
      if (h->before != 0) {
        auto before = version(h->key, h->before);
        if (!before) return before.error();
        c.previous = std::move(*before);
      }
      auto now = objects.get(h->key);
      if (h->what == event_type::deleted) {
        if (!c.previous)
          return damaged("history at revision " + std::to_string(rev), "lacks the state before a deletion");
        auto last = std::make_shared<object>();
        last->ns = c.previous->ns;
        last->name = c.previous->name;
        last->bytes = respliced(*c.previous, rev);
        last->mod = rev;
        last->created = c.previous->created;
        last->rv_offset = c.previous->rv_offset;
        c.current = std::move(last);
      } else if (now && now->mod == rev) {
        c.current = std::move(now);
      } else {
        auto then = version(h->key, rev);
        if (!then) return then.error();
        if (!*then) return damaged("history at revision " + std::to_string(rev), "names a version that is gone");
        c.current = std::move(*then);
      }
      bytes += c.current->bytes.size();
      out.changes.push_back(std::move(c));
    }
    out.floor = rev - 1;
  }
  if (auto r = db->ended_well(*it, "history"); !r) return r.error();
  std::reverse(out.changes.begin(), out.changes.end());
  return out;
}

} // namespace troupe::store
