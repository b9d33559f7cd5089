// A disk that is found full only by the write that does not fit, which is cut off anywhere: free space that others
// take, quotas, storage that promises more than it has. One whose syncs fail. And one that takes no new file and
// renames none, full (of inodes, of directory blocks) or failing.
#include "store/snapshot_codec.hpp"
#include "tests/faults/disk_fault.hpp"
#include "tests/unit/store/store_dir.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <random>

using namespace troupe;
using namespace troupe::store;
using namespace troupe::test;

namespace {

/// Of one store, while it lives. No sync reaches the real disk, which would only take time.
struct faulty_disk {
  std::array<disk_fault::slot, disk_fault::slots_max> slots{};
  explicit faulty_disk(const std::string& dir) {
    std::strncpy(slots[0].directory, (dir + "/store").c_str(), sizeof slots[0].directory - 1);
    slots[0].tracked = disk_fault::unsynced;
    disk_fault::slots = slots.data();
  }
  ~faulty_disk() { disk_fault::slots = nullptr; }
  void fill(std::int64_t room) {
    slots[0].room = room;
    slots[0].told_bytes = 1ull << 40;
    slots[0].full = 1;
  }
  /// So many files are still made or renamed, then `error` is said.
  void refuse_names(int error, std::int32_t left = 0) {
    slots[0].names_left = left;
    slots[0].names_error = static_cast<std::uint32_t>(error);
  }
  void heal() {
    slots[0].full = 0;
    slots[0].names_error = 0;
  }
};

write_group group_at(std::uint64_t index, std::size_t bytes) {
  write_group g;
  g.append = {entry(index, 1, encode_txn(one(std::to_string(index), std::string(bytes, 'y'))))};
  return g;
}

/// Opens it anew: it holds every entry from 2 to `index`.
void reopen(const store_dir& dir, std::unique_ptr<rocks_backend>& disk, std::uint64_t index) {
  disk.reset();
  disk = open(dir.path + "/store");
  state_machine m;
  auto back = disk->recover(m);
  REQUIRE_MESSAGE(bool(back), back.error().message);
  CHECK(back->log.back().index == log_index{index});
  CHECK(back->log.size() == index - 1);
}

void check_reads(rocks_backend& disk) {
  const auto read = disk.get_at({"pods", "ns", "x"}, disk.horizon());
  CHECK_MESSAGE(bool(read), read.error().message);
}

} // namespace

TEST_CASE("a write that is cut off by a full disk is refused again and again, and goes through when there is space") {
  store_dir dir;
  faulty_disk fault(dir.path);
  std::mt19937_64 rng(11);
  auto disk = open(dir.path + "/store");
  state_machine none;
  REQUIRE(bool(disk->recover(none)));
  std::uint64_t index = 1;
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    for (int i = 0; i < 20; ++i, ++index)
      REQUIRE(bool(disk->write(group_at(index + 1, rng() % 3000))));
    fault.fill(static_cast<std::int64_t>(rng() % 65536));
    std::optional<status> refused;
    const auto bytes = 1 + rng() % 9000;
    for (int i = 0; i < 200000 && !refused; ++i) {
      if (auto r = disk->write(group_at(index + 1, bytes)))
        ++index;
      else
        refused = r.error();
    }
    REQUIRE(refused);
    CHECK_MESSAGE(refused->code == 507, refused->message);
    for (int i = 0; i < 3; ++i) {
      auto again = disk->write(group_at(index + 1, bytes));
      REQUIRE_FALSE(bool(again));
      CHECK_MESSAGE(again.error().code == 507, again.error().message);
      check_reads(*disk);
    }
    fault.heal();
    auto r = disk->write(group_at(index + 1, bytes));
    REQUIRE_MESSAGE(bool(r), r.error().message);
    ++index;
    if (round % 7 == 0) reopen(dir, disk, index);
  }
}

TEST_CASE("what RocksDB writes behind our back meets the full disk, too: nothing acknowledged is lost") {
  store_dir dir;
  faulty_disk fault(dir.path);
  std::mt19937_64 rng(12);
  auto disk = open(dir.path + "/store");
  state_machine none;
  REQUIRE(bool(disk->recover(none)));
  std::uint64_t index = 1;
  for (int round = 0; round < 12; ++round) {
    CAPTURE(round);
    fault.fill(static_cast<std::int64_t>(rng() % (16u << 20)));
    std::optional<status> refused;
    while (!refused) {
      if (auto r = disk->write(group_at(index + 1, 64 << 10)))
        ++index;
      else
        refused = r.error();
    }
    CHECK_MESSAGE(refused->code == 507, refused->message);
    fault.heal();
    auto r = disk->write(group_at(index + 1, 64 << 10));
    REQUIRE_MESSAGE(bool(r), r.error().message);
    ++index;
  }
  reopen(dir, disk, index);
}

TEST_CASE("what a sync that failed was to make durable is refused, written again, and nothing acknowledged is lost") {
  store_dir dir;
  faulty_disk fault(dir.path);
  std::mt19937_64 rng(13);
  auto disk = open(dir.path + "/store");
  state_machine none;
  REQUIRE(bool(disk->recover(none)));
  std::uint64_t index = 1;
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    for (int i = 0; i < 20; ++i, ++index)
      REQUIRE(bool(disk->write(group_at(index + 1, rng() % 3000))));
    fault.slots[0].failing = 1;
    for (int i = 0; i < 3; ++i) {
      const auto r = disk->write(group_at(index + 1, 100));
      REQUIRE_FALSE(bool(r));
      CHECK_MESSAGE(r.error().code == 500, r.error().message);
      CHECK(r.error().reason != "StoreDamaged");
      check_reads(*disk);
    }
    fault.slots[0].failing = 0;
    auto r = disk->write(group_at(index + 1, 100));
    REQUIRE_MESSAGE(bool(r), r.error().message);
    ++index;
    if (round % 3 == 0) reopen(dir, disk, index);
  }
}

namespace {

void check_refused(const status& s, int error) {
  CHECK_MESSAGE(s.code == (error == ENOSPC ? 507 : 500), s.message);
  CHECK_MESSAGE(s.reason != "StoreDamaged", s.message);
}

/// Refused again and again, while reads go on; once the disk is well, done.
void check_refused_until_well(rocks_backend& disk, faulty_disk& fault, const write_group& g, int error) {
  for (int i = 0; i < 3; ++i) {
    const auto r = disk.write(g);
    REQUIRE_FALSE(bool(r));
    check_refused(r.error(), error);
    check_reads(disk);
  }
  fault.heal();
  const auto r = disk.write(g);
  REQUIRE_MESSAGE(bool(r), r.error().message);
  check_reads(disk);
}

} // namespace

TEST_CASE("without new files a store refuses writes once it needs one, reads go on, and it heals by itself") {
  for (const int error : {ENOSPC, EIO}) {
    CAPTURE(error);
    store_dir dir;
    faulty_disk fault(dir.path);
    std::mt19937_64 rng(14);
    auto disk = open(dir.path + "/store");
    state_machine none;
    REQUIRE(bool(disk->recover(none)));
    std::uint64_t index = 1;
    for (int round = 0; round < 4; ++round) {
      CAPTURE(round);
      // Log, table file, and what the new beginning needs: whichever comes first.
      fault.refuse_names(error, static_cast<std::int32_t>(rng() % 6));
      std::optional<status> refused;
      while (!refused) {
        if (auto r = disk->write(group_at(index + 1, 512 << 10)))
          ++index;
        else
          refused = r.error();
      }
      check_refused(*refused, error);
      fault.refuse_names(error);
      check_refused_until_well(*disk, fault, group_at(index + 1, 100), error);
      ++index;
    }
    reopen(dir, disk, index);
  }
}

TEST_CASE("a term and a vote that cannot be put in place are refused, and there when they were not") {
  for (const int error : {ENOSPC, EIO}) {
    CAPTURE(error);
    store_dir dir;
    faulty_disk fault(dir.path);
    auto disk = open(dir.path + "/store");
    for (std::uint64_t term = 2; term < 8; ++term) {
      CAPTURE(term);
      write_group g;
      g.hard = hard_state{log_term{term}, member_id{term % 3 + 1}, {}};
      fault.refuse_names(error);
      check_refused_until_well(*disk, fault, g, error);
      if (term % 2 == 0) continue;
      disk.reset();
      disk = open(dir.path + "/store");
      state_machine m;
      const auto back = disk->recover(m);
      REQUIRE(bool(back));
      CHECK(back->hard.term == g.hard->term);
      CHECK(back->hard.vote == g.hard->vote);
    }
  }
}

TEST_CASE("a snapshot that finds no place is refused at every step, and installed when there is one") {
  for (const int error : {ENOSPC, EIO})
    for (std::int32_t left = 0;; ++left) {
      CAPTURE(error);
      CAPTURE(left);
      store_dir dir;
      faulty_disk fault(dir.path);
      auto disk = open(dir.path + "/store");
      written_store here{*disk, {}};
      here.run(one("mine", "{}"));
      state_machine theirs;
      std::vector<change_record> changes;
      for (std::uint64_t i = 2; i < 50; ++i)
        theirs.apply(entry(i, 1, encode_txn(one(std::to_string(i), std::string(1000, 'z')))), changes);
      write_group g;
      g.applied = applied_mark{{log_index{49}, log_term{1}}, theirs.rev(), group_of({1})};
      snapshot_writer w({"c", *g.applied}, theirs.snapshot());
      g.install = std::make_shared<snapshot_image>(snapshot_image{w.at(0, 1 << 20).bytes});
      fault.refuse_names(error, left);
      const auto r = disk->write(g);
      if (!r) {
        check_refused(r.error(), error);
        const auto mine = disk->get_at({"pods", "ns", "mine"}, 1);
        CHECK_MESSAGE((mine && *mine), "what was there is read on");
        fault.refuse_names(error);
        check_refused_until_well(*disk, fault, g, error);
      }
      fault.heal();
      disk.reset();
      disk = open(dir.path + "/store");
      state_machine m;
      REQUIRE(bool(disk->recover(m)));
      CHECK(m.snapshot()->hash() == theirs.snapshot()->hash());
      if (r) break;
      REQUIRE(left < 100);
    }
}

TEST_CASE(
    "a store that cannot open for want of a new file says so, is not taken for damaged, and opens when there is") {
  for (const int error : {ENOSPC, EIO})
    for (std::int32_t left = 0;; ++left) {
      CAPTURE(error);
      CAPTURE(left);
      store_dir dir;
      const auto three = group_of({1, 2, 3});
      const auto path = dir.path + "/store";
      {
        auto disk = open(path, three);
        written_store s{*disk, {}, three};
        s.run(one("a", "{}"));
      }
      faulty_disk fault(dir.path);
      fault.refuse_names(error, left);
      bool opened = false;
      {
        auto r = rocks_backend::open({path, "c", member_id{1}, three, 0});
        opened = bool(r);
        if (!r) check_refused(r.error(), error);
      }
      fault.heal();
      auto disk = open(path, three);
      state_machine m;
      const auto back = disk->recover(m);
      REQUIRE(bool(back));
      CHECK_MESSAGE(back->damage.empty(), back->damage);
      CHECK(m.rev() == 1);
      if (opened) break;
      REQUIRE(left < 50);
    }
}
