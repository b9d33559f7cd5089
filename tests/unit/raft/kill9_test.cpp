// kill9_test: a child writes and reports each acknowledgement through a pipe; it is killed with SIGKILL at a random
// moment; what was acknowledged must be there when the directory is opened again. Several rounds on one directory.
// Owner:  -; `kill9_test` runs the test, `kill9_test write|verify DIR FROM` are its children.
// Units:  about four seconds in all; TROUPE_ROUNDS raises the number of rounds.
// Errors: exit status 1 and one line that says what was lost.
// Source: ours; promise 1 of the design.
#include "tests/unit/raft/store_client.hpp"

#include <cstdio>
#include <cstring>
#include <random>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace {

constexpr std::uint64_t window = 48;

std::string key_of(std::uint64_t n) { return "key-" + std::to_string(n); }

/// Each answered write is reported as eight bytes, after the store called it done.
int write_on(const std::string& dir, std::uint64_t from) {
  store_node node(dir);
  auto next = from, acknowledged = from;
  std::uint64_t under_way = 0;
  for (;;) {
    for (; under_way < window; ++under_way, ++next)
      node.send_put("pods", "default", key_of(next), "{\"n\":" + std::to_string(next) + "}");
    for (const auto& [ticket, r] : node.await(1)) {
      if (!r.ok) return 2;
      --under_way;
      if (::write(STDOUT_FILENO, &acknowledged, sizeof acknowledged) != sizeof acknowledged) return 0;
      ++acknowledged;
    }
  }
}

/// Prints the first key that is missing of [0, expected), or how many there are.
int verify(const std::string& dir, std::uint64_t expected) {
  store_node node(dir);
  auto v = node.state()->current();
  for (std::uint64_t n = 0; n < expected; ++n) {
    auto o = v->get("pods", "default", key_of(n));
    if (o && o->bytes.text().find("{\"n\":" + std::to_string(n) + ",") == 0) continue;
    std::fprintf(stderr, "lost: key %llu of %llu acknowledged\n", static_cast<unsigned long long>(n),
                 static_cast<unsigned long long>(expected));
    return 1;
  }
  // Writes go in one order, so what survived is a prefix: count it, and check that the revision agrees.
  const std::uint64_t present = v->count("pods", "");
  if (v->rev() != present) {
    std::fprintf(stderr, "revision %llu, but %llu objects\n", static_cast<unsigned long long>(v->rev()),
                 static_cast<unsigned long long>(present));
    return 1;
  }
  return ::write(STDOUT_FILENO, &present, sizeof present) == sizeof present ? 0 : 1;
}

struct child {
  pid_t pid = -1;
  int out = -1;
};

child start(const char* mode, const std::string& dir, std::uint64_t number) {
  int ends[2];
  if (::pipe(ends) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  const std::string n = std::to_string(number);
  const char* argv[] = {"kill9_test", mode, dir.c_str(), n.c_str(), nullptr};
  child c;
  if (::posix_spawn(&c.pid, "/proc/self/exe", &actions, nullptr, const_cast<char**>(argv), environ) != 0) c.pid = -1;
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  c.out = ends[0];
  return c;
}

/// The last number the child wrote. After `enough` of them it is killed; what it wrote until then still counts.
std::uint64_t drain(const child& c, std::uint64_t& count, std::uint64_t enough) {
  std::uint64_t last = 0, got = 0;
  count = 0;
  if (enough == 0) ::kill(c.pid, SIGKILL);
  while (::read(c.out, &got, sizeof got) == static_cast<ssize_t>(sizeof got)) {
    last = got;
    if (++count == enough) ::kill(c.pid, SIGKILL);
  }
  ::close(c.out);
  return last;
}

int run() {
  temp_dir dir;
  std::mt19937_64 rng(std::random_device{}());
  const char* wanted = std::getenv("TROUPE_ROUNDS");
  const int rounds = wanted ? std::atoi(wanted) : 8;
  std::uint64_t from = 0, acknowledged = 0;
  for (int round = 0; round < rounds; ++round) {
    auto writer = start("write", dir.path, from);
    if (writer.pid < 0) return 1;
    // At once (during recovery), soon, or after some hundred writes.
    const std::uint64_t enough = rng() % 8 == 0 ? 0 : 1 + rng() % (round % 2 ? 40 : 1500);
    std::uint64_t reports = 0, present_count = 0;
    const auto last = drain(writer, reports, enough);
    int how = 0;
    ::waitpid(writer.pid, &how, 0);
    if (!WIFSIGNALED(how)) {
      std::fprintf(stderr, "the writer ended by itself with %d\n", WEXITSTATUS(how));
      return 1;
    }
    if (reports > 0) acknowledged = last + 1;
    auto checker = start("verify", dir.path, acknowledged);
    const auto present = drain(checker, present_count, ~0ull);
    ::waitpid(checker.pid, &how, 0);
    if (!WIFEXITED(how) || WEXITSTATUS(how) != 0) return 1;
    std::printf("round %d: killed after %llu answers, %llu acknowledged, %llu present\n", round,
                static_cast<unsigned long long>(enough), static_cast<unsigned long long>(acknowledged),
                static_cast<unsigned long long>(present));
    from = present;
  }
  return acknowledged > 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  if (argc == 4 && std::strcmp(argv[1], "write") == 0) return write_on(argv[2], std::strtoull(argv[3], nullptr, 10));
  if (argc == 4 && std::strcmp(argv[1], "verify") == 0) return verify(argv[2], std::strtoull(argv[3], nullptr, 10));
  return run();
}
