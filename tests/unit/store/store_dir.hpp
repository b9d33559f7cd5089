// store_dir: a data directory for one test, and a store in it that is written as the Raft actor does.
// Owner:  tests of store/rocks_*.
// Units:  -
// Errors: a failed step fails the test.
// Source: ours.
#pragma once

#include "store/fault_point.hpp"
#include "store/rocks_backend.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe::test {

using namespace troupe::store;

struct store_dir {
  std::string path;
  store_dir() {
    std::string t = (std::filesystem::temp_directory_path() / "troupe-rocks-XXXXXX").string();
    REQUIRE(::mkdtemp(t.data()));
    path = t;
  }
  ~store_dir() {
    std::error_code ec;
    std::filesystem::remove_all(path, ec);
  }
  /// The largest file with that extension, of the generation in use.
  std::string largest(const std::string& extension) const {
    std::string out;
    for (const auto& f : std::filesystem::recursive_directory_iterator(path))
      if (f.path().extension() == extension && f.path().string().find("damaged-") == std::string::npos)
        if (out.empty() || f.file_size() > std::filesystem::file_size(out)) out = f.path();
    REQUIRE_FALSE(out.empty());
    return out;
  }
  std::size_t count(const std::string& prefix) const {
    std::size_t n = 0;
    for (const auto& f : std::filesystem::directory_iterator(path))
      n += f.path().filename().string().starts_with(prefix);
    return n;
  }
};

/// Changes one byte in place.
inline void flip(const std::string& file, double where) {
  std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
  const auto at = static_cast<std::streamoff>(static_cast<double>(std::filesystem::file_size(file)) * where);
  f.seekg(at);
  const auto was = static_cast<char>(f.get());
  f.seekp(at);
  f.put(static_cast<char>(was ^ 0x55));
}

inline group_config group_of(std::initializer_list<std::uint64_t> ids) {
  group_config c;
  for (auto id : ids)
    c.voters.push_back(member_id{id});
  return c;
}

inline std::unique_ptr<rocks_backend> open(const std::string& dir, const group_config& first = group_of({1})) {
  auto r = rocks_backend::open({dir, "c", member_id{1}, first, 0});
  REQUIRE_MESSAGE(bool(r), r.error().message);
  return std::move(*r);
}

inline log_entry entry(std::uint64_t index, std::uint64_t term, const std::string& payload) {
  return {log_index{index}, log_term{term}, entry_kind::change, std::make_shared<const std::string>(payload)};
}

inline txn one(const std::string& name, const std::string& doc) {
  txn t;
  t.puts.push_back({{"pods", "ns", name}, doc, std::string::npos});
  return t;
}

/// A life of the store that ends in the middle: the case of that name, which is skipped otherwise, in a process of its
/// own. It begins with `begin_other_life` and ends with `std::_Exit`. A mere fork has the database without its threads,
/// and ThreadSanitizer lets it start no others. Returns the exit code: `fault_exit_code` if it was killed at the
/// `fault`th step.
inline int live_and_die(const std::string& name, const std::string& dir, int fault) {
  REQUIRE(::setenv("TROUPE_TEST_DIR", dir.c_str(), 1) == 0);
  REQUIRE(::setenv("TROUPE_TEST_FAULT", std::to_string(fault).c_str(), 1) == 0);
  std::string self = "/proc/self/exe", every = "--no-skip", which = "--test-case=" + name;
  char* const args[] = {self.data(), every.data(), which.data(), nullptr};
  pid_t child = 0;
  REQUIRE(::posix_spawn(&child, self.c_str(), nullptr, nullptr, args, environ) == 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}
/// Its directory.
inline std::string begin_other_life() {
  const char* dir = std::getenv("TROUPE_TEST_DIR");
  REQUIRE(dir);
  return dir;
}
/// What it is to be killed in follows.
inline void die_later() { fault_countdown = std::atoi(std::getenv("TROUPE_TEST_FAULT")); }

/// A state machine whose changes go to disk after each transaction. The founding configuration is entry 1.
struct written_store {
  rocks_backend& disk;
  state_machine machine;
  group_config config = group_of({1});
  std::uint64_t index = 1;
  /// Several transactions as one synced group.
  void run_all(const std::vector<txn>& txns) {
    write_group g;
    for (const auto& t : txns) {
      g.append.push_back(entry(++index, 1, encode_txn(t)));
      machine.apply(g.append.back(), g.changes);
    }
    g.applied = applied_mark{{log_index{index}, log_term{1}}, machine.rev(), config};
    auto r = disk.write(g);
    REQUIRE_MESSAGE(bool(r), r.error().message);
  }
  void run(const txn& t) { run_all({t}); }
  void erase(const std::string& name) {
    txn t;
    t.erases.push_back({{"pods", "ns", name}});
    run(t);
  }
};

} // namespace troupe::test
