#include "store/rocks_backend.hpp"

#include "store/rocks_keys.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <shared_mutex>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unordered_map>

namespace troupe::store {

namespace fs = std::filesystem;
using rocksdb::Slice;

namespace {

constexpr std::uint64_t format_version = 1;
enum family { f_meta, f_log, f_objects, f_history, f_count };

Slice slice(std::string_view s) { return {s.data(), s.size()}; }
std::string_view text(const Slice& s) { return {s.data(), s.size()}; }

rocksdb::ColumnFamilyOptions family_options(std::size_t write_buffer, bool compress,
                                            const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions o;
  o.write_buffer_size = write_buffer;
  o.max_write_buffer_number = 3; // a flush under way does not stop writers
  o.arena_block_size = 256 << 10;
  o.compression = compress ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  o.level_compaction_dynamic_level_bytes = true;
  rocksdb::BlockBasedTableOptions t;
  t.block_cache = cache;
  t.block_size = 16 << 10;
  t.cache_index_and_filter_blocks = true;
  t.format_version = 5;
  t.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(t));
  return o;
}

/// RocksDB would poll for space every few seconds, and meanwhile refuse us: we resume it ourselves, before a write.
class resumed_by_us final : public rocksdb::EventListener {
public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* by_itself) override {
    *by_itself = false;
  }
};

rocksdb::DBOptions db_options() {
  rocksdb::DBOptions o;
  o.listeners.push_back(std::make_shared<resumed_by_us>());
  o.create_if_missing = true;
  o.create_missing_column_families = true;
  o.paranoid_checks = true;
  // A torn record at the very end was never acknowledged; damage anywhere else must be reported, not dropped.
  o.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  o.avoid_flush_during_recovery = true;
  o.max_total_wal_size = 32u << 20;
  o.max_background_jobs = 2;
  o.max_open_files = 128;
  o.max_file_opening_threads = 1;
  o.stats_dump_period_sec = 0;
  o.stats_persist_period_sec = 0;
  o.keep_log_file_num = 2;
  o.max_log_file_size = 1 << 20;
  o.info_log_level = rocksdb::WARN_LEVEL;
  o.bytes_per_sync = 1 << 20;
  return o;
}

status corrupt(const std::string& where, std::string_view what) {
  return errors::internal("the store is damaged: " + where + ": " + std::string(what) +
                          "; restore this member from a backup or from its peers");
}

std::string encode_mark(const applied_mark& m) {
  std::string s;
  put_varint(s, m.at.index.v);
  put_varint(s, m.at.term.v);
  put_varint(s, m.rev);
  put_text(s, encode_config(m.config));
  return s;
}
bool decode_mark(std::string_view s, applied_mark& m) {
  byte_reader in(s);
  m.at.index = log_index{in.varint()};
  m.at.term = log_term{in.varint()};
  m.rev = in.varint();
  const auto config = in.text();
  return in.done() && decode_config(config, m.config);
}
std::string encode_pair(std::uint64_t a, std::uint64_t b) {
  std::string s;
  put_varint(s, a);
  put_varint(s, b);
  return s;
}
bool decode_pair(std::string_view s, std::uint64_t& a, std::uint64_t& b) {
  byte_reader in(s);
  a = in.varint();
  b = in.varint();
  return in.done();
}

std::string encode_hard(const hard_state& h) {
  std::string s;
  put_varint(s, h.term.v);
  put_varint(s, h.vote.v);
  put_varint(s, h.commit.v);
  return s;
}
bool decode_hard(std::string_view s, hard_state& h) {
  byte_reader in(s);
  h.term = log_term{in.varint()};
  h.vote = member_id{in.varint()};
  h.commit = log_index{in.varint()};
  return in.done();
}

} // namespace

std::string encode_config(const group_config& c) {
  std::string s;
  for (const auto* list : {&c.voters, &c.outgoing, &c.learners, &c.learners_next}) {
    put_varint(s, list->size());
    for (auto id : *list)
      put_varint(s, id.v);
  }
  s.push_back(c.auto_leave ? 1 : 0);
  return s;
}

bool decode_config(std::string_view bytes, group_config& out) {
  byte_reader in(bytes);
  for (auto* list : {&out.voters, &out.outgoing, &out.learners, &out.learners_next}) {
    list->clear();
    for (auto n = in.varint(); n > 0 && !in.bad(); --n)
      list->push_back(member_id{in.varint()});
  }
  out.auto_leave = in.byte() != 0;
  return in.done();
}

struct rocks_backend::impl {
  backend_options opt;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> cf;
  log_index last_on_disk;
  log_position base;
  std::atomic<revision> horizon{0};
  bool closed = false;
  bool broken = false;           // the last write failed: heal before the next
  mutable std::shared_mutex use; // exclusive only while the database is opened anew

  ~impl() { shut(); }

  void shut() {
    if (!db) return;
    for (auto* h : cf)
      db->DestroyColumnFamilyHandle(h);
    cf.clear();
    db->Close();
    db.reset();
  }

  result<std::optional<std::string>> meta(std::string_view key) {
    std::string v;
    const auto s = db->Get({}, cf[f_meta], slice(key), &v);
    if (s.IsNotFound()) return std::optional<std::string>{};
    if (!s.ok()) return corrupt("meta/" + std::string(key), s.ToString());
    return std::optional<std::string>(std::move(v));
  }

  result<void> open_db();
  result<void> check_identity();
  result<void> write_identity();
  result<void> ensure_space(bool adds);
  result<void> heal();
  status failed(const rocksdb::Status& s);
  void add_log(rocksdb::WriteBatch& b, const write_group& g);
  void add_changes(rocksdb::WriteBatch& b, const std::vector<change_record>& changes);
  result<object_ptr> version(const key_ref& k, revision rev);
};

result<void> rocks_backend::impl::open_db() {
  std::error_code ec;
  fs::create_directories(opt.dir, ec);
  if (ec) return errors::internal("cannot make the data directory " + opt.dir + ": " + ec.message());
  ::chmod(opt.dir.c_str(), 0700);
  auto cache = rocksdb::NewLRUCache(4 << 20, 2);
  std::vector<rocksdb::ColumnFamilyDescriptor> families{
      {rocksdb::kDefaultColumnFamilyName, family_options(1 << 20, false, cache)},
      {"log", family_options(8 << 20, false, cache)},
      {"objects", family_options(16 << 20, true, cache)},
      {"history", family_options(4 << 20, true, cache)}};
  rocksdb::DB* raw = nullptr;
  const auto s = rocksdb::DB::Open(db_options(), opt.dir, families, &cf, &raw);
  if (s.ok()) {
    db.reset(raw);
    return {};
  }
  const auto why = s.ToString();
  status e = errors::internal("");
  e.code = 409;
  e.reason = "Conflict";
  if (why.find("lock") != std::string::npos || why.find("LOCK") != std::string::npos) {
    e.message = "the data directory " + opt.dir + " is in use by another troupe process; stop that one first";
    return e;
  }
  if (s.IsInvalidArgument()) {
    e.message = "the data directory " + opt.dir + " was written by a newer or different version: " + why;
    return e;
  }
  if (s.IsNoSpace()) return errors::insufficient_storage("no space left in " + opt.dir + " to open the store");
  if (s.IsCorruption()) return corrupt(opt.dir, why);
  return errors::internal("cannot open the store in " + opt.dir + ": " + why);
}

result<void> rocks_backend::impl::write_identity() {
  if (opt.cluster_id.empty()) {
    auto e = errors::internal("");
    e.message = "the data directory " + opt.dir + " is new, so the cluster's id must be given";
    return e;
  }
  rocksdb::WriteBatch b;
  b.Put(cf[f_meta], "format", std::to_string(format_version));
  b.Put(cf[f_meta], "cluster", opt.cluster_id);
  b.Put(cf[f_meta], "member", std::to_string(opt.member.v));
  // The founding configuration counts as entry 1, which no log holds: a member that joins later must start from a
  // snapshot, since the log alone would not tell it who founded the group.
  const log_position founded{log_index{opt.first.voters.empty() ? 0u : 1u}, {}};
  b.Put(cf[f_meta], "applied", encode_mark({founded, 0, opt.first}));
  b.Put(cf[f_meta], "log_base", encode_pair(founded.index.v, founded.term.v));
  rocksdb::WriteOptions w;
  w.sync = true;
  const auto s = db->Write(w, &b);
  return s.ok() ? result<void>{} : result<void>{failed(s)};
}

result<void> rocks_backend::impl::check_identity() {
  auto conflict = [](std::string message) {
    auto e = errors::internal("");
    e.code = 409;
    e.reason = "Conflict";
    e.message = std::move(message);
    return e;
  };
  auto format = meta("format");
  if (!format) return format.error();
  if (!*format) return write_identity();
  if (**format != std::to_string(format_version))
    return conflict("the data directory " + opt.dir + " has format " + **format + "; this troupe reads format " +
                    std::to_string(format_version) + ": use the version that wrote it, or a newer one");
  auto cluster = meta("cluster");
  if (!cluster) return cluster.error();
  if (!*cluster) return corrupt("meta/cluster", "missing");
  if (opt.cluster_id.empty()) opt.cluster_id = **cluster;
  if (opt.cluster_id != **cluster)
    return conflict("the data directory " + opt.dir + " belongs to cluster " + **cluster + ", not to cluster " +
                    opt.cluster_id);
  auto member = meta("member");
  if (!member) return member.error();
  if (!*member || **member != std::to_string(opt.member.v))
    return conflict("the data directory " + opt.dir + " belongs to member " + member->value_or("?") +
                    " of the cluster, not to member " + std::to_string(opt.member.v));
  return {};
}

status rocks_backend::impl::failed(const rocksdb::Status& s) {
  broken = true;
  if (s.IsNoSpace())
    return errors::insufficient_storage("no space left in " + opt.dir +
                                        ": writes are refused until there is; reads go on");
  if (s.IsCorruption()) return corrupt(opt.dir, s.ToString());
  return errors::internal("the store cannot write to " + opt.dir + ": " + s.ToString());
}

result<void> rocks_backend::impl::ensure_space(bool adds) {
  struct statvfs v {};
  if (adds && ::statvfs(opt.dir.c_str(), &v) == 0) {
    const auto free_bytes = static_cast<std::uint64_t>(v.f_bavail) * v.f_frsize;
    if (free_bytes < opt.disk_reserve_bytes)
      return errors::insufficient_storage("only " + std::to_string(free_bytes >> 20) + " MiB left in " + opt.dir +
                                          " (" + std::to_string(opt.disk_reserve_bytes >> 20) +
                                          " MiB are kept in reserve): writes are refused until there is more; "
                                          "reads go on");
  }
  return broken ? heal() : result<void>{};
}

/// RocksDB resumes from some errors only; opening it anew ends all of them, and drops what was half written.
result<void> rocks_backend::impl::heal() {
  if (db && db->Resume().ok()) {
    broken = false;
    return {};
  }
  std::lock_guard g(use);
  shut();
  if (auto opened = open_db(); !opened) return opened.error();
  std::unique_ptr<rocksdb::Iterator> it(db->NewIterator({}, cf[f_log]));
  it->SeekToLast();
  last_on_disk = it->Valid() ? log_index{get_be64(text(it->key()))} : base.index;
  if (!it->status().ok()) return failed(it->status());
  broken = false;
  return {};
}

void rocks_backend::impl::add_log(rocksdb::WriteBatch& b, const write_group& g) {
  if (!g.append.empty()) {
    const auto first = g.append.front().index;
    if (first <= last_on_disk) b.DeleteRange(cf[f_log], rocks::log_key(first), rocks::log_key(last_on_disk.next()));
    for (const auto& e : g.append) {
      const auto key = rocks::log_key(e.index);
      const auto head = rocks::log_head(e);
      const std::array<Slice, 1> k{slice(key)};
      const std::array<Slice, 2> v{slice(head), e.payload ? slice(*e.payload) : Slice()};
      b.Put(cf[f_log], rocksdb::SliceParts(k.data(), 1), rocksdb::SliceParts(v.data(), 2));
    }
  }
  if (g.drop_log_to && g.drop_log_to->index > base.index) {
    b.DeleteRange(cf[f_log], rocks::log_key(base.index), rocks::log_key(g.drop_log_to->index.next()));
    b.Put(cf[f_meta], "log_base", encode_pair(g.drop_log_to->index.v, g.drop_log_to->term.v));
  }
}

void rocks_backend::impl::add_changes(rocksdb::WriteBatch& b, const std::vector<change_record>& changes) {
  std::string history;
  revision rev = 0;
  auto flush = [&] {
    if (rev != 0) {
      std::string key;
      put_be64(key, rev);
      b.Put(cf[f_history], key, history);
    }
    history.clear();
  };
  for (const auto& c : changes) {
    const auto& o = *c.current;
    if (o.mod != rev) flush();
    rev = o.mod;
    history.push_back(static_cast<char>(c.what));
    put_text(history, *c.table);
    put_text(history, o.ns);
    put_text(history, o.name);
    put_varint(history, c.previous ? c.previous->mod : 0);
    const bool deleted = c.what == event_type::deleted;
    const auto key = rocks::object_key(*c.table, o.ns, o.name, o.mod);
    const auto head = rocks::object_head(o, deleted);
    const std::array<Slice, 1> k{slice(key)};
    const std::array<Slice, 2> v{slice(head), deleted ? Slice() : slice(o.bytes)};
    b.Put(cf[f_objects], rocksdb::SliceParts(k.data(), 1), rocksdb::SliceParts(v.data(), 2));
  }
  flush();
}

rocks_backend::rocks_backend(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
rocks_backend::~rocks_backend() = default;

result<std::unique_ptr<rocks_backend>> rocks_backend::open(backend_options options) {
  auto i = std::make_unique<impl>();
  i->opt = std::move(options);
  if (auto r = i->open_db(); !r) return r.error();
  if (auto r = i->check_identity(); !r) return r.error();
  return std::unique_ptr<rocks_backend>(new rocks_backend(std::move(i)));
}

result<recovered_state> rocks_backend::recover(state_machine& objects) {
  auto& m = *impl_;
  recovered_state out;
  auto applied = m.meta("applied");
  if (!applied) return applied.error();
  if (!*applied || !decode_mark(**applied, out.applied)) return corrupt("meta/applied", "missing or unreadable");
  auto hard = m.meta("hard");
  if (!hard) return hard.error();
  if (*hard && !decode_hard(**hard, out.hard)) return corrupt("meta/hard", "unreadable");
  auto base = m.meta("log_base");
  if (!base) return base.error();
  if (*base && !decode_pair(**base, out.base.index.v, out.base.term.v)) return corrupt("meta/log_base", "unreadable");
  auto horizon = m.meta("horizon");
  if (!horizon) return horizon.error();
  if (*horizon) m.horizon = get_be64(**horizon);

  rocksdb::ReadOptions ro;
  ro.verify_checksums = true;
  ro.readahead_size = 1 << 20;
  ro.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> it(m.db->NewIterator(ro, m.cf[f_log]));
  auto next = out.base.index.next();
  for (it->Seek(rocks::log_key(next)); it->Valid(); it->Next(), next = next.next()) {
    const auto index = log_index{get_be64(text(it->key()))};
    if (index != next)
      return corrupt("log entry " + std::to_string(next.v), "missing; the next one is " + std::to_string(index.v));
    auto& e = out.log.emplace_back();
    if (!rocks::parse_log(index, text(it->value()), e))
      return corrupt("log entry " + std::to_string(index.v),
                     "checksum mismatch over " + std::to_string(it->value().size()) + " bytes");
  }
  if (!it->status().ok()) return corrupt("log entry " + std::to_string(next.v), it->status().ToString());
  if (out.applied.at.index > next.prev())
    return corrupt("log entry " + std::to_string(out.applied.at.index.v), "applied, but missing from the log");
  m.base = out.base;
  m.last_on_disk = next.prev();

  it.reset(m.db->NewIterator(ro, m.cf[f_objects]));
  std::string last_prefix;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    rocks::object_key_ref k;
    if (!rocks::parse_object_key(text(it->key()), k))
      return corrupt("object key " + it->key().ToString(true), "unreadable");
    if (k.prefix == last_prefix) continue; // an older version
    last_prefix = k.prefix;
    object_ptr o;
    if (!rocks::parse_object(k, text(it->value()), o))
      return corrupt("object " + it->key().ToString(true), "unreadable");
    if (o) objects.load(k.table, std::move(o));
  }
  if (!it->status().ok()) return corrupt("objects", it->status().ToString());
  objects.set_revision(out.applied.rev);
  return out;
}

result<object_ptr> rocks_backend::impl::version(const key_ref& k, revision rev) {
  const auto key = rocks::object_key(k.table, k.ns, k.name, rev);
  rocksdb::PinnableSlice v;
  const auto s = db->Get({}, cf[f_objects], slice(key), &v);
  if (s.IsNotFound()) return object_ptr{};
  rocks::object_key_ref ref;
  object_ptr o;
  if (!s.ok() || !rocks::parse_object_key(key, ref) || !rocks::parse_object(ref, text(v), o))
    return corrupt("object " + std::string(k.table) + "/" + std::string(k.ns) + "/" + std::string(k.name) +
                       " at revision " + std::to_string(rev),
                   s.ok() ? "unreadable" : s.ToString());
  return o;
}

namespace {

struct history_item {
  event_type what;
  key_ref key;
  revision before = 0;
};

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

} // namespace

result<history_window> rocks_backend::read_history(const state_machine& objects, std::size_t events_max,
                                                   std::size_t bytes_max) {
  auto& m = *impl_;
  history_window out;
  out.floor = objects.rev();
  std::unique_ptr<rocksdb::Iterator> it(m.db->NewIterator({}, m.cf[f_history]));
  std::vector<history_item> items;
  std::size_t bytes = 0;
  // Backwards, so that the newest fit; versions that are not in memory are read from disk.
  for (it->SeekToLast(); it->Valid(); it->Prev()) {
    const auto rev = get_be64(text(it->key()));
    if (rev <= m.horizon || rev > objects.rev()) break;
    if (rev != out.floor || !parse_history(text(it->value()), items)) break; // a gap: all behind it is unknown
    if (out.changes.size() + items.size() > events_max || bytes > bytes_max) break;
    for (auto h = items.rbegin(); h != items.rend(); ++h) {
      change_record c;
      c.table = std::make_shared<const std::string>(h->key.table);
      c.what = h->what;
      if (h->before != 0) {
        auto before = m.version(h->key, h->before);
        if (!before) return before.error();
        c.previous = std::move(*before);
      }
      auto now = objects.get(h->key);
      if (h->what == event_type::deleted) {
        if (!c.previous)
          return corrupt("history at revision " + std::to_string(rev), "lacks the state before a deletion");
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
        auto then = m.version(h->key, rev);
        if (!then) return then.error();
        if (!*then) return corrupt("history at revision " + std::to_string(rev), "names a version that is gone");
        c.current = std::move(*then);
      }
      bytes += c.current->bytes.size();
      out.changes.push_back(std::move(c));
    }
    out.floor = rev - 1;
  }
  std::reverse(out.changes.begin(), out.changes.end());
  return out;
}

result<void> rocks_backend::write(const write_group& g) {
  auto& m = *impl_;
  if (m.closed) return errors::unavailable("the store is closed");
  // The reserve is for what keeps the group alive: votes, and the first entry of a leader's term.
  const bool adds =
      std::any_of(g.append.begin(), g.append.end(), [](const log_entry& e) { return e.kind == entry_kind::change; });
  if (auto r = m.ensure_space(adds); !r) return r;
  rocksdb::WriteBatch b;
  if (g.hard) b.Put(m.cf[f_meta], "hard", encode_hard(*g.hard));
  m.add_log(b, g);
  m.add_changes(b, g.changes);
  if (g.applied) b.Put(m.cf[f_meta], "applied", encode_mark(*g.applied));
  if (b.Count() == 0) return {};
  rocksdb::WriteOptions w;
  w.sync = true;
  const auto s = m.db->Write(w, &b);
  if (!s.ok()) return m.failed(s);
  if (!g.append.empty()) m.last_on_disk = g.append.back().index;
  if (g.drop_log_to) m.base = std::max(m.base, *g.drop_log_to);
  return {};
}

result<object_ptr> rocks_backend::get_at(const key_ref& k, revision rev) {
  std::shared_lock g(impl_->use);
  if (!impl_->db) return errors::unavailable("the store is not open: its disk refuses to work");
  object_ptr found;
  const std::string prefix = rocks::object_prefix(k.table, k.ns, k.name);
  std::unique_ptr<rocksdb::Iterator> it(impl_->db->NewIterator({}, impl_->cf[f_objects]));
  if (rev < impl_->horizon) return errors::expired("revision " + std::to_string(rev) + " has been compacted");
  it->Seek(rocks::object_key(k.table, k.ns, k.name, rev));
  rocks::object_key_ref ref;
  if (it->Valid() && it->key().starts_with(prefix) &&
      (!rocks::parse_object_key(text(it->key()), ref) || !rocks::parse_object(ref, text(it->value()), found)))
    return corrupt("object " + it->key().ToString(true), "unreadable");
  if (!it->status().ok()) return corrupt("objects", it->status().ToString());
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
  std::unique_ptr<rocksdb::Iterator> it(impl_->db->NewIterator({}, impl_->cf[f_objects]));
  if (rev < impl_->horizon) return errors::expired("revision " + std::to_string(rev) + " has been compacted");
  std::string done; // prefix whose state at `rev` has been decided
  for (it->Seek(from); it->Valid() && it->key().starts_with(range); it->Next()) {
    rocks::object_key_ref k;
    object_ptr o;
    if (!rocks::parse_object_key(text(it->key()), k))
      return corrupt("object " + it->key().ToString(true), "unreadable");
    if (k.rev > rev || k.prefix == done) continue;
    done = k.prefix;
    if (!rocks::parse_object(k, text(it->value()), o))
      return corrupt("object " + it->key().ToString(true), "unreadable");
    if (o && !fn(o)) return {};
  }
  if (!it->status().ok()) return corrupt("objects", it->status().ToString());
  return {};
}

result<bool> rocks_backend::compact(revision target) {
  std::shared_lock g(impl_->use);
  if (!impl_->db) return errors::unavailable("the store is not open: its disk refuses to work");
  auto& m = *impl_;
  if (target <= m.horizon) return false;
  rocksdb::WriteBatch b;
  std::vector<history_item> items;
  std::size_t steps = 0;
  revision reached = target;
  std::unique_ptr<rocksdb::Iterator> it(m.db->NewIterator({}, m.cf[f_history]));
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
      return corrupt("history at revision " + std::to_string(rev), "unreadable");
    for (const auto& h : items) {
      if (h.before != 0) b.Delete(m.cf[f_objects], rocks::object_key(h.key.table, h.key.ns, h.key.name, h.before));
      if (h.what == event_type::deleted)
        b.Delete(m.cf[f_objects], rocks::object_key(h.key.table, h.key.ns, h.key.name, rev));
    }
    b.Delete(m.cf[f_history], it->key());
  }
  if (!it->status().ok()) return corrupt("history", it->status().ToString());
  std::string mark;
  put_be64(mark, reached);
  b.Put(m.cf[f_meta], "horizon", mark);
  m.horizon = reached; // before the deletes: a reader below it must be refused first
  const auto s = m.db->Write({}, &b);
  if (!s.ok()) return errors::internal("compaction: " + s.ToString());
  return reached < target;
}

result<void> rocks_backend::condemn(const std::string& why) {
  std::shared_lock g(impl_->use);
  if (!impl_->db) return errors::unavailable("the store is not open: its disk refuses to work");
  rocksdb::WriteOptions w;
  w.sync = true;
  const auto s = impl_->db->Put(w, impl_->cf[f_meta], "condemned", why);
  return s.ok() ? result<void>{} : result<void>{impl_->failed(s)};
}

revision rocks_backend::horizon() const noexcept { return impl_->horizon; }
const std::string& rocks_backend::cluster_id() const noexcept { return impl_->opt.cluster_id; }

result<void> rocks_backend::close() {
  std::lock_guard g(impl_->use);
  impl_->closed = true;
  impl_->shut();
  return {};
}

} // namespace troupe::store
