#include "store/rocks_impl.hpp"

#include "store/fault_point.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe::store {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t format_version = 1;
constexpr std::string_view data_prefix = "data-", damaged_prefix = "damaged-";
constexpr std::size_t damaged_kept_max = 2; // the oldest is removed first

/// Numbers behind `prefix` among the directories of `dir`, ascending.
std::vector<std::uint64_t> numbered(const std::string& dir, std::string_view prefix) {
  std::vector<std::uint64_t> out;
  std::error_code ec;
  for (const auto& e : fs::directory_iterator(dir, ec)) {
    const auto name = e.path().filename().string();
    if (!name.starts_with(prefix) || name.size() == prefix.size()) continue;
    const auto digits = name.substr(prefix.size());
    if (digits.find_first_not_of("0123456789") == digits.npos && digits.size() < 19) out.push_back(std::stoull(digits));
  }
  std::sort(out.begin(), out.end());
  return out;
}

result<void> rename_path(const std::string& from, const std::string& to) {
  std::error_code ec;
  fs::rename(from, to, ec);
  if (ec) return errors::internal("cannot rename " + from + " to " + to + ": " + ec.message());
  return {};
}

} // namespace

result<dir_lock> dir_lock::take(const std::string& dir) {
  const auto path = dir + "/lock";
  dir_lock out(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (out.fd_ < 0 && errno == ENOSPC)
    return errors::insufficient_storage("no space left in " + dir + " to open the store");
  if (out.fd_ < 0) return errors::internal("cannot open " + path + ": " + std::strerror(errno));
  if (::flock(out.fd_, LOCK_EX | LOCK_NB) != 0)
    return not_ours("the data directory " + dir + " is in use by another troupe process; stop that one first");
  return out;
}

dir_lock::~dir_lock() {
  if (fd_ >= 0) ::close(fd_);
}

bool holds_store(const std::string& dir) {
  std::error_code ec;
  return fs::exists(dir + "/member", ec) || fs::exists(dir + "/CURRENT", ec) || !numbered(dir, data_prefix).empty();
}

std::string rocks_backend::impl::data_dir(std::uint64_t generation) const {
  return opt.dir + "/" + std::string(data_prefix) + std::to_string(generation);
}

/// Whether peers can give back what this member lost.
bool rocks_backend::impl::repairable() const {
  if (opt.never_set_aside) return false;
  const auto& c = who.config.voters.empty() ? opt.first : who.config;
  if (c.voters.empty()) return true; // joins a group, which therefore exists
  const auto other = [&](member_id id) { return id != opt.member; };
  return std::any_of(c.voters.begin(), c.voters.end(), other) ||
         std::any_of(c.outgoing.begin(), c.outgoing.end(), other);
}

result<void> rocks_backend::impl::open() {
  std::error_code ec;
  fs::create_directories(opt.dir, ec);
  if (ec) return errors::internal("cannot make the data directory " + opt.dir + ": " + ec.message());
  ::chmod(opt.dir.c_str(), 0700);
  auto taken = dir_lock::take(opt.dir);
  if (!taken) return taken.error();
  lock = std::move(*taken);
  if (auto r = adopt_old_layout(); !r) return r;
  if (auto r = find_member(); !r) return r;
  if (auto r = tidy_generations(); !r) return r;
  if (!who.condemned.empty())
    return repairable() ? set_aside(who.condemned) : result<void>{damaged(opt.dir, who.condemned)};
  auto r = db ? result<void>{} : open_generation();
  if (r) r = check_data_identity();
  if (!r && is_damage(r.error()) && repairable()) return set_aside(r.error().message);
  return r;
}

/// Before generations, RocksDB's files lay in the directory itself. Its CURRENT moves last: until then this repeats.
result<void> rocks_backend::impl::adopt_old_layout() {
  if (!fs::exists(opt.dir + "/CURRENT")) return {};
  const auto to = data_dir(1);
  std::error_code ec;
  fs::create_directory(to, ec);
  std::vector<fs::path> files;
  for (const auto& e : fs::directory_iterator(opt.dir, ec))
    if (e.is_regular_file() && e.path().filename() != "lock" && e.path().filename() != "CURRENT")
      files.push_back(e.path());
  files.push_back(opt.dir + "/CURRENT");
  for (const auto& f : files)
    if (auto r = rename_path(f, to + "/" + f.filename().string()); !r) return r;
  return sync_dir(opt.dir);
}

result<void> rocks_backend::impl::find_member() {
  auto found = read_member_file(opt.dir);
  const auto data = numbered(opt.dir, data_prefix);
  if (!found) {
    if (data.size() != 1) return lost_identity(found.error().message);
    return member_from_data();
  }
  if (!*found) return data.empty() ? begin_new() : member_from_data();
  // It counts from here on, and is written over by the next but one: whoever put it in place may have been killed
  // before that was durable.
  if (auto r = sync_dir(opt.dir); !r) return r;
  who = std::move(**found);
  if (opt.cluster_id.empty()) opt.cluster_id = who.cluster;
  if (opt.cluster_id != who.cluster)
    return not_ours("the data directory " + opt.dir + " belongs to cluster " + who.cluster + ", not to cluster " +
                    opt.cluster_id);
  if (opt.member != who.member)
    return not_ours("the data directory " + opt.dir + " belongs to member " + std::to_string(who.member.v) +
                    " of the cluster, not to member " + std::to_string(opt.member.v));
  return {};
}

status rocks_backend::impl::lost_identity(const std::string& why) const {
  return {500, std::string(damage_reason),
          why +
              ". This member's term and vote are lost, so it cannot take part again as who it was: take it out of its "
              "group with troupe master remove, empty " +
              opt.dir +
              ", and add it anew with troupe master add; the last member of a group starts from a backup "
              "with troupe restore"};
}

/// The member file is missing or damaged: the data tells the same, when it is whole and there is no doubt which it is.
result<void> rocks_backend::impl::member_from_data() {
  const auto data = numbered(opt.dir, data_prefix);
  who = {};
  who.generation = data.back();
  if (auto r = open_generation(); !r) {
    if (r.error().code == 409) return r;
    if (data.size() == 1 && !fs::exists(opt.dir + "/member") && !fs::exists(data_dir(data.back()) + "/CURRENT"))
      return begin_new(); // a first start that did not come far
    return lost_identity("the file " + opt.dir + "/member cannot be read, nor can the data: " + r.error().message);
  }
  auto cluster = db->meta("cluster"), member = db->meta("member"), hard = db->meta("hard"),
       applied = db->meta("applied");
  for (auto* v : {&cluster, &member, &hard, &applied})
    if (!*v) return lost_identity(v->error().message);
  hard_state h;
  applied_mark mark;
  if (!*cluster && !*applied) return begin_new();
  if (!*cluster || !*member || !*applied || !decode_mark(**applied, mark) || (*hard && !decode_hard(**hard, h)))
    return lost_identity("meta records are missing or unreadable in " + db->dir());
  who.cluster = **cluster;
  who.member = member_id{std::strtoull((*member)->c_str(), nullptr, 10)};
  who.term = h.term;
  who.vote = h.vote;
  who.config = mark.config;
  if (opt.cluster_id.empty() || opt.cluster_id == who.cluster)
    if (opt.member == who.member)
      if (auto r = write_member_file(opt.dir, who); !r) return r;
  if (opt.cluster_id.empty()) opt.cluster_id = who.cluster;
  return {}; // check_data_identity compares
}

result<void> rocks_backend::impl::begin_new() {
  if (opt.cluster_id.empty()) {
    auto e = errors::internal("");
    e.message = "the data directory " + opt.dir + " is new, so the cluster's id must be given";
    return e;
  }
  db.reset();
  who = {};
  who.cluster = opt.cluster_id;
  who.member = opt.member;
  who.config = opt.first;
  who.generation = 1;
  // The founding configuration counts as entry 1, which no log holds: a member that joins later must start from a
  // snapshot, since the log alone would not tell it who founded the group.
  const log_position founded{log_index{opt.first.voters.empty() ? 0u : 1u}, {}};
  if (auto r = make_generation(1, {founded, 0, opt.first}, founded, db); !r) return r;
  return write_member_file(opt.dir, who);
}

/// An empty database that knows whose it is.
result<void> rocks_backend::impl::make_generation(std::uint64_t generation, const applied_mark& applied,
                                                  const log_position& from, std::unique_ptr<rocks_db>& out) {
  std::error_code ec;
  fs::remove_all(data_dir(generation), ec);
  fault_point();
  auto made = rocks_db::open(data_dir(generation), true);
  if (!made) return made.error();
  rocksdb::WriteBatch b;
  auto& to = **made;
  b.Put(to[f_meta], "format", std::to_string(format_version));
  b.Put(to[f_meta], "cluster", opt.cluster_id);
  b.Put(to[f_meta], "member", std::to_string(opt.member.v));
  b.Put(to[f_meta], "applied", encode_mark(applied));
  b.Put(to[f_meta], "log_base", encode_position(from));
  b.Put(to[f_meta], "hard", encode_hard({who.term, who.vote, {}}));
  if (auto r = to.write(b); !r) return r;
  fault_point();
  out = std::move(*made);
  return sync_dir(opt.dir);
}

/// What a crash left behind goes; what was set aside because of damage stays, under a name that says so.
result<void> rocks_backend::impl::tidy_generations() {
  std::error_code ec;
  for (const auto n : numbered(opt.dir, data_prefix)) {
    if (n == who.generation) continue;
    if (n < who.generation && !who.damage.empty()) {
      if (auto r = rename_path(data_dir(n), opt.dir + "/" + std::string(damaged_prefix) + std::to_string(n)); !r)
        return r;
    } else {
      fs::remove_all(data_dir(n), ec);
    }
  }
  auto old = numbered(opt.dir, damaged_prefix);
  for (std::size_t i = 0; i + damaged_kept_max < old.size(); ++i)
    fs::remove_all(opt.dir + "/" + std::string(damaged_prefix) + std::to_string(old[i]), ec);
  return {};
}

result<void> rocks_backend::impl::open_generation() {
  const auto dir = data_dir(who.generation);
  // A generation that began empty because of damage may be made again: nothing in it was acknowledged yet.
  const auto again = [&] { return make_generation(who.generation, {{}, 0, who.config}, {}, db); };
  if (!who.damage.empty() && !fs::exists(dir + "/CURRENT")) return again();
  auto opened = rocks_db::open(dir, false);
  if (!opened) return opened.error();
  db = std::move(*opened);
  if (who.damage.empty()) return {};
  auto format = db->meta("format");
  if (!format) return format.error();
  if (*format) return {};
  db.reset();
  return again();
}

result<void> rocks_backend::impl::check_data_identity() {
  auto format = db->meta("format");
  if (!format) return format.error();
  if (!*format) return damaged(db->dir() + ": meta/format", "missing");
  if (**format != std::to_string(format_version))
    return not_ours("the data directory " + opt.dir + " has format " + **format + "; this troupe reads format " +
                    std::to_string(format_version) + ": use the version that wrote it, or a newer one");
  auto cluster = db->meta("cluster");
  if (!cluster) return cluster.error();
  if (!*cluster) return damaged(db->dir() + ": meta/cluster", "missing");
  if (opt.cluster_id != **cluster)
    return not_ours("the data directory " + opt.dir + " belongs to cluster " + **cluster + ", not to cluster " +
                    opt.cluster_id);
  auto member = db->meta("member");
  if (!member) return member.error();
  if (!*member || **member != std::to_string(opt.member.v))
    return not_ours("the data directory " + opt.dir + " belongs to member " + member->value_or("?") +
                    " of the cluster, not to member " + std::to_string(opt.member.v));
  return {};
}

/// Begins empty in the next generation. The member file decides: what was in use before is renamed after it.
result<void> rocks_backend::impl::set_aside(const std::string& why) {
  std::lock_guard g(use);
  db.reset();
  auto r = change_member([&](member_record& m) {
    ++m.generation;
    m.damage = why;
    m.condemned.clear();
  });
  if (!r) return r;
  fault_point();
  if (r = tidy_generations(); !r) return r;
  fault_point();
  base = {};
  last_on_disk = {};
  horizon = 0;
  return make_generation(who.generation, {{}, 0, who.config}, {}, db);
}

result<void> rocks_backend::impl::change_member(const std::function<void(member_record&)>& edit) {
  std::lock_guard g(who_lock);
  auto next = who;
  edit(next);
  if (next == who) return {};
  if (auto r = write_member_file(opt.dir, next); !r) return r;
  who = std::move(next);
  return {};
}

} // namespace troupe::store
