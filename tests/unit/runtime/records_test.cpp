#include "runtime/linux/cgroups.hpp"
#include "runtime/linux/container_record.hpp"
#include "runtime/linux/files.hpp"
#include "runtime/linux/process.hpp"
#include "tests/unit/runtime/tar_builder.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

using namespace troupe::runtime::linux_host;
using namespace troupe::tests;

TEST_CASE("container records survive encoding") {
  container_record r;
  r.id = "c";
  r.sandbox_id = "s";
  r.name = "web";
  r.attempt = 3;
  r.phase = record_phase::started;
  r.pid = 12;
  r.pid_started = 1234567890123;
  r.created_ns = 1700000000000000001;
  r.labels = {{"a", "b\"c"}};
  const auto back = decode_container(encode(r));
  REQUIRE(back.has_value());
  CHECK(encode(*back) == encode(r));
  CHECK(back->labels == r.labels);
}

TEST_CASE("damaged records are no records") {
  for (const auto* bad : {"", "{", "[]", "null", "{}", "{\"id\":\"c\"}", "{\"id\":1,\"sandbox\":2}"})
    CHECK_FALSE(decode_container(bad).has_value());
  CHECK_FALSE(decode_sandbox("{\"id\":[]}").has_value());
}

TEST_CASE("names are safe as one path component or refused") {
  for (const auto* good : {"a", "A-1_b.c", "0"})
    CHECK(safe_name(good));
  for (const auto* bad : {"", ".", "..", ".a", "-a", "a/b", "a b", "a\n", "ä"})
    CHECK_FALSE(safe_name(bad));
  CHECK_FALSE(safe_name(std::string(201, 'a')));
}

TEST_CASE("a tree is removed without following its links") {
  scratch_directory d;
  write_text(d.path + "/keep/f", "x");
  write_text(d.path + "/tree/a/b/c", "x");
  std::filesystem::create_symlink(d.path + "/keep", d.path + "/tree/link");
  std::filesystem::create_symlink(d.path + "/keep", d.path + "/top");
  CHECK(remove_tree(d.path + "/tree").has_value());
  CHECK(remove_tree(d.path + "/top").has_value());
  CHECK(remove_tree(d.path + "/absent").has_value());
  CHECK(read_text(d.path + "/keep/f") == "x");
  CHECK_FALSE(exists(d.path + "/tree"));
}

TEST_CASE("reading in a foreign root never leaves it") {
  scratch_directory d;
  write_text(d.path + "/secret", "outside");
  write_text(d.path + "/root/etc/passwd", "inside");
  std::filesystem::create_symlink("../../secret", d.path + "/root/etc/climb");
  std::filesystem::create_symlink("/etc/passwd", d.path + "/root/etc/absolute");
  CHECK(read_in_root(d.path + "/root", "etc/passwd", 100) == "inside");
  CHECK(read_in_root(d.path + "/root", "etc/absolute", 100) == "inside");
  CHECK(read_in_root(d.path + "/root", "etc/climb", 100).empty());
  CHECK(read_in_root(d.path + "/root", "../secret", 100).empty());
  CHECK(read_in_root(d.path + "/root", "etc", 100).empty());
}

TEST_CASE("shares become weights as runc and crun convert them") {
  CHECK(weight_of_shares(2) == 1);
  CHECK(weight_of_shares(1024) == 39);
  CHECK(weight_of_shares(262144) == 10000);
  CHECK(weight_of_shares(0) == 1);
}

TEST_CASE("a child gets the descriptors asked for and no others") {
  auto pipe = make_pipe();
  REQUIRE(pipe.has_value());
  spawn_request r{.argv = {"/bin/sh", "-c", "ls /proc/self/fd | wc -l; echo via3 >&3; exit 7"},
                  .env = base_environment()};
  r.descriptors = {-1, -1, -1, pipe->write.get()};
  const auto done = run(r, std::chrono::seconds(20), 4096);
  REQUIRE(done.has_value());
  CHECK(done->exit_code == 7);
  CHECK(std::atoi(done->output.c_str()) == 5); // 0 to 3, and the directory that ls reads
  char buffer[8] = {};
  CHECK(::read(pipe->read.get(), buffer, 5) == 5);
  CHECK(std::string(buffer) == "via3\n");
}

TEST_CASE("a child that outlasts its time is killed with its children") {
  const auto done = run({.argv = {"/bin/sh", "-c", "echo begun; sleep 1000 & wait"}, .env = base_environment()},
                        std::chrono::milliseconds(300), 4096);
  REQUIRE(done.has_value());
  CHECK(done->timed_out);
  CHECK(done->exit_code == 137);
}

TEST_CASE("more output than wanted is dropped, not waited for") {
  const auto done = run({.argv = {"/bin/sh", "-c", "head -c 1000000 /dev/zero"}, .env = base_environment()},
                        std::chrono::seconds(20), 10);
  REQUIRE(done.has_value());
  CHECK(done->exit_code == 0);
  CHECK(done->output.size() == 10);
}

TEST_CASE("a program that does not exist is an error that names it") {
  const auto done = run({.argv = {"/no/such/program"}, .env = {}}, std::chrono::seconds(5), 10);
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().message.find("/no/such/program") != std::string::npos);
}

TEST_CASE("a process is told from a later one with its pid") {
  const auto mine = start_time(::getpid());
  CHECK(mine > 0);
  CHECK(alive(::getpid(), mine));
  CHECK_FALSE(alive(::getpid(), mine + 1));
  CHECK_FALSE(alive(0, 0));
}
