#include "store/rocks_backend.hpp"

#include "store/rocks_impl.hpp"
#include "store/rocks_keys.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <limits>
#include <sys/statvfs.h>
#include <unistd.h>

namespace troupe::store {

using rocksdb::Slice;

namespace {

/// What opening a database writes before it serves is a few KiB: manifest, options, the head of a write-ahead log.
constexpr std::uint64_t reopen_bytes_min = 1u << 20;

/// 0, or why a file of that size cannot be written and synced.
int try_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  int error = ::posix_fallocate(fd, 0, reopen_bytes_min);
  if (error == EOPNOTSUPP || error == EINVAL) error = 0; // a file system that cannot promise room
  if (error == 0 && (::pwrite(fd, "x", 1, 0) != 1 || ::fsync(fd) != 0)) error = errno;
  ::close(fd);
  return error;
}

/// 0, or why a file cannot be made, put in place and kept.
int try_disk(const std::string& dir) {
  const auto probe = dir + "/probe", fresh = probe + ".new";
  int error = try_file(fresh);
  if (error == 0 && ::rename(fresh.c_str(), probe.c_str()) != 0) error = errno;
  if (error == 0 && !sync_dir(dir)) error = EIO;
  for (const auto* left : {&probe, &fresh})
    ::unlink(left->c_str());
  return error;
}

std::uint64_t bytes_of(const write_group& g) {
  std::uint64_t n = 0;
  if (g.install)
    for (const auto& piece : *g.install)
      n += piece->size();
  return n;
}

bool only_hard(const write_group& g) {
  return g.hard && !g.install && g.append.empty() && g.changes.empty() && !g.applied && !g.drop_log_to;
}

} // namespace

status rocks_backend::impl::write_failed(const status& s) {
  broken = true;
  return s;
}

result<void> rocks_backend::impl::free_at_least(std::uint64_t bytes) const {
  struct statvfs v {};
  if (::statvfs(opt.dir.c_str(), &v) != 0) return {};
  const auto free_bytes = static_cast<std::uint64_t>(v.f_bavail) * v.f_frsize;
  if (free_bytes >= bytes) return {};
  return errors::insufficient_storage("only " + std::to_string(free_bytes >> 20) + " MiB left in " + opt.dir + " (" +
                                      std::to_string(opt.disk_reserve_bytes >> 20) +
                                      " MiB are kept in reserve): writes are refused until there is more; "
                                      "reads go on");
}

/// What adds data leaves the reserve alone; a snapshot's bytes must fit beside it.
result<void> rocks_backend::impl::room(std::uint64_t bytes) const {
  const auto most = std::numeric_limits<std::uint64_t>::max() - opt.disk_reserve_bytes;
  return free_at_least(opt.disk_reserve_bytes + std::min(bytes, most));
}

result<void> rocks_backend::impl::ensure_space(bool adds, std::uint64_t bytes) {
  if (adds)
    if (auto r = room(bytes); !r) return r;
  return broken ? heal() : result<void>{};
}

/// Asks the disk itself: what statvfs says may not be for us (quotas), nor be there; a sync may still fail, and so may
/// a new name. Reads end for good if a new beginning fails halfway, so whatever it does is tried here first.
result<void> rocks_backend::impl::may_reopen() const {
  const int error = try_disk(opt.dir);
  if (error == ENOSPC || error == EDQUOT)
    return errors::insufficient_storage("no space left in " + opt.dir +
                                        ": writes are refused until there is; reads go on");
  if (error != 0)
    return errors::internal("the disk of " + opt.dir + " does not take what is written to it: " + std::strerror(error) +
                            "; writes are refused until it does, reads go on");
  return {};
}

/// Opens the database anew, which ends every error and drops what was half written. Not DB::Resume: after it
/// RocksDB 7.8 may sync or write the log file whose write failed, and then its own assertion ends the process (fixed
/// upstream in pull request 12448). What is open goes on serving reads as long as there is no space for a new
/// beginning.
result<void> rocks_backend::impl::heal() {
  if (db)
    if (auto r = may_reopen(); !r) return r;
  std::lock_guard g(use);
  db.reset();
  if (auto opened = open_generation(); !opened) return opened.error();
  auto it = db->iterate(f_log);
  it->SeekToLast();
  last_on_disk = it->Valid() ? log_index{get_be64(text(it->key()))} : base.index;
  if (auto r = db->ended_well(*it, "log"); !r) return r;
  broken = false;
  return {};
}

/// Term and vote go to the member file before anything else: see member_file.hpp. So does a new configuration.
result<void> rocks_backend::impl::remember(const write_group& g) {
  return change_member([&](member_record& m) {
    if (g.hard) {
      m.term = g.hard->term;
      m.vote = g.hard->vote;
    }
    if (g.applied) m.config = g.applied->config;
  });
}

/// The member file is what counts and has its blocks already. The data repeats it, for whoever loses that file; if it
/// cannot, the next group finds out.
result<void> rocks_backend::impl::remember_hard(const write_group& g) {
  if (auto r = remember(g); !r) return r;
  if (broken) return {};
  rocksdb::WriteBatch b;
  add_all(b, *db, g);
  if (!db->write(b)) broken = true;
  return {};
}

void rocks_backend::impl::add_log(rocksdb::WriteBatch& b, const rocks_db& to, const write_group& g) {
  if (!g.append.empty()) {
    const auto first = g.append.front().index;
    if (first <= last_on_disk) b.DeleteRange(to[f_log], rocks::log_key(first), rocks::log_key(last_on_disk.next()));
    for (const auto& e : g.append) {
      const auto key = rocks::log_key(e.index);
      const auto head = rocks::log_head(e);
      const std::array<Slice, 1> k{slice(key)};
      const std::array<Slice, 2> v{slice(head), e.payload ? slice(*e.payload) : Slice()};
      b.Put(to[f_log], rocksdb::SliceParts(k.data(), 1), rocksdb::SliceParts(v.data(), 2));
    }
  }
  if (g.drop_log_to && g.drop_log_to->index > base.index) {
    b.DeleteRange(to[f_log], rocks::log_key(base.index), rocks::log_key(g.drop_log_to->index.next()));
    b.Put(to[f_meta], "log_base", encode_position(*g.drop_log_to));
  }
}

void rocks_backend::impl::add_changes(rocksdb::WriteBatch& b, const rocks_db& to,
                                      const std::vector<change_record>& changes) {
  std::string history;
  revision rev = 0;
  auto flush = [&] {
    if (rev != 0) {
      std::string key;
      put_be64(key, rev);
      b.Put(to[f_history], key, history);
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
    b.Put(to[f_objects], rocksdb::SliceParts(k.data(), 1), rocksdb::SliceParts(v.data(), 2));
  }
  flush();
}

void rocks_backend::impl::add_all(rocksdb::WriteBatch& b, const rocks_db& to, const write_group& g) {
  if (g.hard) b.Put(to[f_meta], "hard", encode_hard(*g.hard));
  add_log(b, to, g);
  add_changes(b, to, g.changes);
  if (g.applied) b.Put(to[f_meta], "applied", encode_mark(*g.applied));
}

rocks_backend::rocks_backend(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
rocks_backend::~rocks_backend() = default;

result<std::unique_ptr<rocks_backend>> rocks_backend::open(backend_options options) {
  auto i = std::make_unique<impl>();
  i->opt = std::move(options);
  if (auto r = i->open(); !r) return r.error();
  return std::unique_ptr<rocks_backend>(new rocks_backend(std::move(i)));
}

result<recovered_state> rocks_backend::recover(state_machine& objects) { return impl_->recover(objects); }

result<history_window> rocks_backend::read_history(const state_machine& objects, std::size_t events_max,
                                                   std::size_t bytes_max) {
  return impl_->read_history(objects, events_max, bytes_max);
}

result<void> rocks_backend::write(const write_group& g) {
  auto& m = *impl_;
  if (m.closed) return errors::unavailable("the store is closed");
  // The reserve is for what keeps the group alive: votes, and the first entry of a leader's term.
  const bool adds = g.install || std::any_of(g.append.begin(), g.append.end(),
                                             [](const log_entry& e) { return e.kind == entry_kind::change; });
  if (only_hard(g)) return m.remember_hard(g);
  if (auto r = m.ensure_space(adds, bytes_of(g)); !r) return r;
  if (g.install) return m.install(g);
  if (auto r = m.remember(g); !r) return r;
  rocksdb::WriteBatch b;
  m.add_all(b, *m.db, g);
  if (b.Count() == 0) return {};
  if (auto r = m.db->write(b); !r) return m.write_failed(r.error());
  if (!g.append.empty()) m.last_on_disk = g.append.back().index;
  if (g.drop_log_to) m.base = std::max(m.base, *g.drop_log_to);
  return {};
}

/// Kept outside RocksDB, which may be what is not to be trusted.
result<void> rocks_backend::condemn(const std::string& why) {
  return impl_->change_member([&](member_record& m) { m.condemned = why; });
}

revision rocks_backend::horizon() const noexcept { return impl_->horizon; }
const std::string& rocks_backend::cluster_id() const noexcept { return impl_->opt.cluster_id; }

result<void> rocks_backend::room() const { return impl_->room(0); }

result<void> rocks_backend::close() {
  std::lock_guard g(impl_->use);
  impl_->closed = true;
  impl_->db.reset();
  impl_->lock = {};
  return {};
}

} // namespace troupe::store
