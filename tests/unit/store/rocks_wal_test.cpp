#include "store/limits.hpp"
#include "store/rocks_wal.hpp"
#include "store/wal_end.hpp"
#include "tests/unit/store/store_dir.hpp"

#include <rocksdb/file_system.h>

#include <csignal>
#include <iterator>
#include <random>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace troupe;
using namespace troupe::test;

namespace {

namespace fs = std::filesystem;
constexpr std::size_t sector = 512;

std::string read_file(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(f), {}};
}
void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// A store as kill -9 leaves it, and its log before and after the last write.
struct crashed_store {
  store_dir dir;
  std::string name; // of the log, below the directory
  std::string before, after;
  static constexpr revision writes = 40;

  explicit crashed_store(std::size_t last_bytes) {
    store_dir live;
    auto disk = open(live.path);
    written_store s{*disk, {}};
    for (revision i = 1; i < writes; ++i)
      s.run(one(std::to_string(i), std::string(300 + i, 'a')));
    const auto log = live.largest(".log");
    before = read_file(log);
    s.run(one(std::to_string(writes), std::string(last_bytes, 'z')));
    after = read_file(log);
    name = log.substr(live.path.size());
    fs::copy(live.path, dir.path, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }
  /// What opening the store finds when its log is this one: a revision, or a refusal.
  result<revision> revision_with(const std::string& log, const group_config& config = group_of({1})) const {
    store_dir copy;
    fs::copy(dir.path, copy.path, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    write_file(copy.path + name, log);
    return revision_of(copy.path, config);
  }
  static result<revision> revision_of(const std::string& path, const group_config& config = group_of({1})) {
    auto disk = rocks_backend::open({path, "c", member_id{1}, config, 0});
    if (!disk) return disk.error();
    state_machine m;
    auto r = (*disk)->recover(m);
    if (!r) return r.error();
    if (!r->damage.empty()) return errors::internal(r->damage);
    return m.rev();
  }
  std::size_t last_begins() const { return find_wal_end(before).end; }
  std::size_t last_ends() const { return find_wal_end(after).end; }
  template <class Keep>
  std::string torn(Keep keep) const {
    auto out = after;
    for (auto at = last_begins(); at < last_ends();) {
      const auto next = std::min(last_ends(), (at / sector + 1) * sector);
      if (!keep(at / sector)) std::fill_n(out.begin() + static_cast<long>(at), next - at, '\0');
      at = next;
    }
    return out;
  }
};

bool names_damage_in(const result<revision>& r, const std::string& file) {
  if (r) return false;
  const auto& text = r.error().message;
  return text.find("the store is damaged") != text.npos && text.find(file + " at byte ") != text.npos;
}

std::unique_ptr<rocksdb::FSWritableFile> new_log(rocksdb::Env& env, const std::string& path) {
  std::unique_ptr<rocksdb::FSWritableFile> out;
  const auto s = env.GetFileSystem()->NewWritableFile(path, {}, &out, nullptr);
  REQUIRE_MESSAGE(s.ok(), s.ToString());
  return out;
}

} // namespace

TEST_CASE("a log is followed by zeros while it is open, a few at first, and by none when it was closed") {
  store_dir dir;
  std::string log;
  {
    auto disk = open(dir.path);
    written_store s{*disk, {}};
    s.run(one("a", "{}"));
    log = dir.largest(".log");
    CHECK(fs::file_size(log) == limits::wal_ahead_bytes_min);
    std::uint64_t at_once = 0, last = fs::file_size(log);
    for (int i = 0; i < 1500; ++i) {
      s.run(one(std::to_string(i), std::string(1000, 'x')));
      const auto now = fs::file_size(log);
      at_once = std::max<std::uint64_t>(at_once, now - last);
      last = now;
    }
    CHECK(at_once > limits::wal_ahead_bytes_max / 2);
    CHECK(at_once <= limits::wal_ahead_bytes_max + 4096);
    const auto bytes = read_file(log);
    CHECK(int(find_wal_end(bytes).tail) == int(wal_tail::zeros));
  }
  const auto bytes = read_file(log);
  CHECK(int(find_wal_end(bytes).tail) == int(wal_tail::none));
  CHECK(find_wal_end(bytes).end == bytes.size());
}

TEST_CASE("large writes lengthen the log by themselves") {
  store_dir dir;
  auto disk = open(dir.path);
  written_store s{*disk, {}};
  for (int i = 0; i < 4; ++i)
    s.run(one(std::to_string(i), std::string(200 << 10, 'x')));
  const auto bytes = read_file(dir.largest(".log"));
  CHECK(find_wal_end(bytes).end == bytes.size());
}

TEST_CASE("killed: all that was written is there, and the log is cut to it") {
  const crashed_store c(500);
  const auto log = c.dir.path + c.name;
  CHECK(fs::file_size(log) > c.last_ends());
  auto r = crashed_store::revision_of(c.dir.path);
  REQUIRE_MESSAGE(bool(r), r.error().message);
  CHECK(*r == c.writes);
  // Again and again: a log from before is kept until its records are in tables.
  CHECK(*crashed_store::revision_of(c.dir.path) == c.writes);
  if (fs::exists(log)) CHECK(fs::file_size(log) == c.last_ends());
}

TEST_CASE("a torn last write is dropped whichever of its sectors reached the disk, and all before it is there") {
  std::mt19937 rng(3);
  for (const std::size_t bytes : {200u, 3000u, 90000u}) {
    const crashed_store c(bytes);
    const auto from = c.last_begins() / sector, until = (c.last_ends() + sector - 1) / sector;
    std::vector<std::string> logs;
    const auto step = std::max<std::size_t>(1, (until - from) / 6);
    for (auto s = from; s < until; s += step) {
      logs.push_back(c.torn([&](std::size_t i) { return i < s; }));
      logs.push_back(c.torn([&](std::size_t i) { return i > s; }));
      logs.push_back(c.torn([&](std::size_t i) { return i != s; }));
      logs.push_back(c.torn([&](std::size_t) { return rng() % 3 != 0; }));
    }
    for (const auto& log : logs) {
      auto r = c.revision_with(log);
      REQUIRE_MESSAGE(bool(r), r.error().message);
      CHECK(*r == (log == c.after ? c.writes : c.writes - 1));
    }
  }
}

TEST_CASE("a torn write is gone for good: what is written after it stays") {
  const crashed_store c(3000);
  write_file(c.dir.path + c.name, c.torn([&](std::size_t i) { return i == c.last_begins() / sector; }));
  for (int life = 0; life < 3; ++life) {
    auto disk = open(c.dir.path);
    written_store s{*disk, {}};
    auto r = disk->recover(s.machine);
    REQUIRE_MESSAGE(bool(r), r.error().message);
    CHECK(s.machine.rev() == c.writes - 1 + static_cast<revision>(life));
    s.index = r->log.back().index.v;
    s.run(one("life-" + std::to_string(life), "{}"));
  }
}

TEST_CASE("a file that ends within the last record is opened as ever, at whatever byte") {
  const crashed_store c(200);
  for (auto n = c.last_begins() + 1; n < c.last_ends(); n += 37) {
    auto r = c.revision_with(c.after.substr(0, n));
    REQUIRE_MESSAGE(bool(r), r.error().message);
    CHECK(*r == c.writes - 1);
  }
}

TEST_CASE("damage of a log is told with file and place, also in its last record") {
  const crashed_store c(400);
  std::mt19937 rng(5);
  for (int i = 0; i < 12; ++i) {
    auto log = c.after;
    // Behind the head of the file's first record, and in the last.
    const auto at = i < 9 ? 7 + rng() % (c.last_begins() - 7) : c.last_begins() + 7 + rng() % 300;
    log[at] = static_cast<char>(log[at] ^ 0x10);
    INFO("byte " << at << " of " << c.last_ends());
    CHECK(names_damage_in(c.revision_with(log), fs::path(c.name).filename()));
    CHECK(names_damage_in(c.revision_with(log, group_of({1, 2, 3})), fs::path(c.name).filename()));
  }
  // A sector that is lost with records behind it: RocksDB alone would go on with the next block.
  auto lost = c.after;
  std::fill_n(lost.begin() + 8 * sector, sector, '\0');
  CHECK(names_damage_in(c.revision_with(lost), fs::path(c.name).filename()));
}

TEST_CASE("a tear in a log with a later one in use is damage") {
  const crashed_store c(3000);
  {
    auto disk = open(c.dir.path);
    written_store s{*disk, {}};
    auto r = disk->recover(s.machine);
    REQUIRE(bool(r));
    s.index = r->log.back().index.v;
    s.run(one("later", "{}"));
  }
  REQUIRE(fs::exists(c.dir.path + c.name));
  CHECK(*crashed_store::revision_of(c.dir.path) == c.writes + 1);
  write_file(c.dir.path + c.name, c.torn([&](std::size_t i) { return i != c.last_begins() / sector + 2; }));
  CHECK(names_damage_in(crashed_store::revision_of(c.dir.path), fs::path(c.name).filename()));
}

TEST_CASE("where there is no room to grow ahead, writes that fit succeed") {
  store_dir dir;
  const auto env = env_with_grown_logs();
  auto file = new_log(*env, dir.path + "/000007.log");
  rlimit was{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &was) == 0);
  const auto old = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit narrow{20000, was.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &narrow) == 0);
  std::size_t written = 0;
  rocksdb::IOStatus s;
  while (s.ok()) {
    s = file->Append(std::string(300, 'x'), {}, nullptr);
    written += s.ok() ? 300 : 0;
  }
  const auto synced = file->Sync({}, nullptr);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &was) == 0);
  std::signal(SIGXFSZ, old);
  CHECK(written == 20000 / 300 * 300);
  CHECK(synced.ok());
  CHECK(file->GetFileSize({}, nullptr) == written);
  CHECK(file->Close({}, nullptr).ok());
  CHECK(read_file(dir.path + "/000007.log") == std::string(written, 'x'));
}

TEST_CASE("a full disk is told as such, and only when the write itself does not fit") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: needs root to mount a small tmpfs");
    return;
  }
  store_dir dir;
  if (::mount("tmpfs", dir.path.c_str(), "tmpfs", 0, "size=256k") != 0) {
    MESSAGE("skipped: tmpfs cannot be mounted here");
    return;
  }
  struct unmount {
    const std::string& path;
    ~unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } at_end{dir.path};
  const auto env = env_with_grown_logs();
  auto file = new_log(*env, dir.path + "/000007.log");
  std::size_t written = 0;
  rocksdb::IOStatus s;
  for (; s.ok(); written += s.ok() ? 1000 : 0)
    s = file->Append(std::string(1000, 'x'), {}, nullptr);
  CHECK(s.IsNoSpace());
  CHECK(s.ToString().find("000007.log") != std::string::npos);
  CHECK(s.ToString().find("No space left on device") != std::string::npos);
  CHECK(written == (256u << 10) / 1000 * 1000);
  CHECK(file->Close({}, nullptr).ok());
  CHECK(fs::file_size(dir.path + "/000007.log") == written);
}

TEST_CASE("only logs are treated so") {
  store_dir dir;
  const auto env = env_with_grown_logs();
  for (const auto* name : {"/000007.sst", "/MANIFEST-000001", "/LOG", "/x.log"}) {
    auto file = new_log(*env, dir.path + name);
    CHECK(file->Append("some", {}, nullptr).ok());
    CHECK(file->Flush({}, nullptr).ok());
    CHECK(fs::file_size(dir.path + name) == 4);
    CHECK(file->Close({}, nullptr).ok());
  }
}
