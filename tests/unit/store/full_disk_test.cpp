// A disk that is found full only by the write that does not fit, which is cut off anywhere: free space that others
// take, quotas, storage that promises more than it has. And one whose syncs fail.
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

/// Of one directory, while it lives.
struct faulty_disk {
  std::array<disk_fault::slot, disk_fault::slots_max> slots{};
  explicit faulty_disk(const std::string& dir) {
    std::strncpy(slots[0].directory, dir.c_str(), sizeof slots[0].directory - 1);
    disk_fault::slots = slots.data();
  }
  ~faulty_disk() { disk_fault::slots = nullptr; }
  void fill(std::int64_t room) {
    slots[0].room = room;
    slots[0].told_bytes = 1ull << 40;
    slots[0].full = 1;
  }
  void heal() { slots[0].full = 0; }
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
  const auto read = disk.get_at({"pods", "ns", "x"}, 0);
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
