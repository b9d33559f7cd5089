#include "store/rocks_backend.hpp"
#include "tests/unit/store/store_dir.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sys/mount.h>
#include <unistd.h>

using namespace troupe;
using namespace troupe::store;
using namespace troupe::test;

TEST_CASE("log, votes and objects come back as they were written") {
  store_dir dir;
  std::uint64_t hash = 0;
  {
    auto disk = open(dir.path);
    written_store s{*disk, {}};
    for (int i = 0; i < 50; ++i)
      s.run(one(std::to_string(i % 7), "{\"i\":" + std::to_string(i) + "}"));
    s.erase("3");
    write_group g;
    g.hard = hard_state{log_term{5}, member_id{1}, log_index{51}};
    REQUIRE(bool(disk->write(g)));
    hash = s.machine.snapshot()->hash();
  }
  auto disk = open(dir.path);
  state_machine back;
  auto r = disk->recover(back);
  REQUIRE(bool(r));
  CHECK(back.snapshot()->hash() == hash);
  CHECK(r->hard == hard_state{log_term{5}, member_id{1}, log_index{51}});
  CHECK(r->log.size() == 51);
  CHECK(r->applied.at.index == log_index{52});
  CHECK(r->applied.rev == 51);
}

TEST_CASE("an append replaces the log from its first entry on, and a cut forgets its front") {
  store_dir dir;
  {
    auto disk = open(dir.path);
    state_machine m;
    REQUIRE(bool(disk->recover(m)));
    write_group g;
    for (std::uint64_t i = 1; i <= 9; ++i)
      g.append.push_back(entry(i, 1, "old"));
    g.applied = applied_mark{{log_index{4}, log_term{1}}, 0, {{member_id{1}}, {}, {}, {}, false}};
    REQUIRE(bool(disk->write(g)));
    write_group h;
    h.append = {entry(6, 2, "new"), entry(7, 2, "new")};
    h.drop_log_to = log_position{log_index{3}, log_term{1}};
    REQUIRE(bool(disk->write(h)));
  }
  auto disk = open(dir.path);
  state_machine m;
  auto r = disk->recover(m);
  REQUIRE(bool(r));
  CHECK(r->base.index == log_index{3});
  REQUIRE(r->log.size() == 4);
  CHECK(*r->log[1].payload == "old");
  CHECK(*r->log[2].payload == "new");
  CHECK(r->log[3].index == log_index{7});
}

TEST_CASE("a state at any kept revision can be read, and compaction keeps all that is visible") {
  store_dir dir;
  auto disk = open(dir.path);
  written_store s{*disk, {}};
  std::mt19937_64 rng(7);
  std::map<revision, std::map<std::string, revision>> states; // revision -> name -> mod
  std::map<std::string, revision> now;
  for (int i = 0; i < 400; ++i) {
    const auto name = std::to_string(rng() % 20);
    if (rng() % 4 == 0) {
      s.erase(name);
      now.erase(name);
    } else {
      s.run(one(name, "{}"));
      now[name] = s.machine.rev();
    }
    states[s.machine.rev()] = now;
  }
  auto agrees = [&](revision at) {
    std::map<std::string, revision> seen;
    auto r = disk->scan_at("pods", "", "", "", at, [&](const object_ptr& o) {
      seen[o->name] = o->mod;
      return true;
    });
    REQUIRE(bool(r));
    for (const auto& [name, mod] : states[at]) {
      auto o = disk->get_at({"pods", "ns", name}, at);
      REQUIRE(bool(o));
      REQUIRE(*o);
      REQUIRE((*o)->mod == mod);
    }
    return seen == states[at];
  };
  for (auto& [rev, state] : states)
    REQUIRE(agrees(rev));
  const revision horizon = 200;
  while (true) {
    auto more = disk->compact(horizon);
    REQUIRE(bool(more));
    if (!*more) break;
  }
  CHECK(disk->get_at({"pods", "ns", "1"}, 199).error().code == 410);
  for (auto& [rev, state] : states)
    if (rev >= horizon) REQUIRE(agrees(rev));
  std::size_t listed = 0;
  std::string last;
  REQUIRE(bool(disk->scan_at("pods", "ns", "ns", "10", s.machine.rev(), [&](const object_ptr& o) {
    CHECK(o->name > "10");
    return ++listed < 3;
  })));
}

TEST_CASE("compaction leaves one version of a live object and none of a dead one") {
  store_dir dir;
  auto disk = open(dir.path);
  written_store s{*disk, {}};
  for (int i = 0; i < 30; ++i)
    s.run(one("a", "{}"));
  s.run(one("b", "{}"));
  s.erase("b");
  while (*disk->compact(s.machine.rev())) {
  }
  CHECK((*disk->get_at({"pods", "ns", "a"}, s.machine.rev()))->mod == 30);
  CHECK_FALSE(*disk->get_at({"pods", "ns", "b"}, s.machine.rev()));
  auto past = disk->read_history(s.machine, 100, 1 << 20);
  REQUIRE(bool(past));
  CHECK(past->changes.empty());
  CHECK(past->floor == s.machine.rev());
}

TEST_CASE("a damaged log record stops recovery with its place, never silently") {
  store_dir dir;
  {
    auto disk = open(dir.path);
    written_store s{*disk, {}};
    for (int i = 0; i < 200; ++i)
      s.run(one(std::to_string(i), std::string(200, 'a' + i % 26)));
  }
  // Flip one byte in the middle of the write-ahead log: acknowledged records lie behind it.
  const auto wal = dir.largest(".log");
  REQUIRE_FALSE(wal.empty());
  {
    std::fstream f(wal, std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(static_cast<std::streamoff>(std::filesystem::file_size(wal) / 2));
    f.put('~');
  }
  auto r = rocks_backend::open({dir.path, "c", member_id{1}, {{member_id{1}}, {}, {}, {}, false}, 0});
  REQUIRE_FALSE(bool(r));
  CHECK(r.error().message.find("the store is damaged") != std::string::npos);
}

TEST_CASE("a torn record at the end of the log was never acknowledged and is dropped") {
  store_dir dir;
  {
    auto disk = open(dir.path);
    written_store s{*disk, {}};
    for (int i = 0; i < 100; ++i)
      s.run(one(std::to_string(i), std::string(200, 'x')));
  }
  const auto wal = dir.largest(".log");
  REQUIRE_FALSE(wal.empty());
  std::filesystem::resize_file(wal, std::filesystem::file_size(wal) - 37);
  auto disk = open(dir.path);
  state_machine m;
  auto r = disk->recover(m);
  REQUIRE(bool(r));
  CHECK(m.rev() == 99);
}

TEST_CASE("a directory of a newer format is refused with a sentence") {
  store_dir dir;
  auto no_id = rocks_backend::open({dir.path, "", member_id{1}, {{member_id{1}}, {}, {}, {}, false}, 0});
  REQUIRE_FALSE(bool(no_id));
  CHECK(no_id.error().message.find("cluster's id must be given") != std::string::npos);
}

TEST_CASE("a full disk refuses writes with 507, reads go on, and space heals it") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: needs root to mount a small tmpfs");
    return;
  }
  store_dir dir;
  if (::mount("tmpfs", dir.path.c_str(), "tmpfs", 0, "size=24m") != 0) {
    MESSAGE("skipped: tmpfs cannot be mounted here");
    return;
  }
  struct unmount {
    const std::string& path;
    ~unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } at_end{dir.path};
  {
    auto disk = open(dir.path + "/store");
    written_store s{*disk, {}};
    s.run(one("first", "{}"));
    const auto ballast = dir.path + "/ballast";
    std::ofstream(ballast) << std::string(18u << 20, 'b');
    std::optional<status> refused;
    std::uint64_t index = s.index;
    std::uint64_t written = 0;
    for (int i = 0; i < 400 && !refused; ++i) {
      write_group g;
      g.append = {entry(index + 1, 1, encode_txn(one(std::to_string(i), std::string(64 << 10, 'y'))))};
      auto r = disk->write(g);
      if (r)
        ++index, ++written;
      else
        refused = r.error();
    }
    REQUIRE(refused);
    MESSAGE(written << " writes, then " << refused->code << ": " << refused->message);
    CHECK(refused->code == 507);
    CHECK(*disk->get_at({"pods", "ns", "first"}, 1));
    std::filesystem::remove(ballast);
    write_group g;
    g.append = {entry(index + 1, 1, encode_txn(one("after", "{}")))};
    auto r = disk->write(g);
    REQUIRE_MESSAGE(bool(r), r.error().message);
    disk.reset();
    disk = open(dir.path + "/store");
    state_machine m;
    auto back = disk->recover(m);
    REQUIRE_MESSAGE(bool(back), back.error().message);
    CHECK(back->log.back().index == log_index{index + 1});
  }
}

TEST_CASE("too little reserve refuses appends before the disk is full") {
  store_dir dir;
  auto r = rocks_backend::open({dir.path, "c", member_id{1}, {{member_id{1}}, {}, {}, {}, false}, ~0ull});
  REQUIRE(bool(r));
  write_group g;
  g.append = {entry(1, 1, "x")};
  CHECK((*r)->write(g).error().code == 507);
  g = {};
  g.hard = hard_state{log_term{1}, member_id{1}, {}};
  CHECK(bool((*r)->write(g)));
}
