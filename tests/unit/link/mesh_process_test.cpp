// The other master as a process of its own, so that it can be killed and stopped as a machine would be.
#include "tests/unit/link/mesh_lab.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* child_case = "the other master as a process";

/// This program again, as master 2; it lives until its input ends. It reports its port on its output.
class other_process {
public:
  other_process(const mesh_peer& parent, std::uint16_t port) {
    int in[2], out[2];
    REQUIRE(::pipe2(in, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
    const auto filter = std::string("-tc=") + child_case;
    const std::string mine = std::to_string(port), theirs = std::to_string(parent.port);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      ::setenv("TROUPE_MESH_PORT", mine.c_str(), 1);
      ::setenv("TROUPE_MESH_PARENT", theirs.c_str(), 1);
      ::setenv("TROUPE_MESH_PKI", lab_pki().dir.c_str(), 1);
      ::execl("/proc/self/exe", "mesh_test", "--no-skip", "--no-intro", filter.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    char line[16] = "";
    REQUIRE(::read(out[0], line, sizeof line - 1) > 0);
    port_ = static_cast<std::uint16_t>(std::atoi(line));
    output_ = out[0];
  }
  ~other_process() {
    ::close(input_); // ends it
    ::close(output_);
    if (!ended_) ::kill(pid_, SIGCONT);
    if (!ended_) ::waitpid(pid_, nullptr, 0);
  }
  other_process(const other_process&) = delete;

  void signal(int number) const { REQUIRE(::kill(pid_, number) == 0); }
  void kill_hard() {
    signal(SIGKILL);
    REQUIRE(::waitpid(pid_, nullptr, 0) == pid_);
    ended_ = true;
  }
  mesh_peer address() const { return {store::member_id{2}, "m2", "127.0.0.1", port_}; }

private:
  pid_t pid_ = -1;
  int input_ = -1, output_ = -1;
  std::uint16_t port_ = 0;
  bool ended_ = false;
};

std::chrono::milliseconds time_until(const std::function<bool()>& holds) {
  const auto began = std::chrono::steady_clock::now();
  REQUIRE(eventually(holds));
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
}

} // namespace

TEST_CASE("the other master as a process" * doctest::skip()) {
  const char* port = std::getenv("TROUPE_MESH_PORT");
  const char* parent = std::getenv("TROUPE_MESH_PARENT");
  if (!port || !parent) return; // only for the test below
  lab_master two{2, [&](mesh_options& o) { o.port = static_cast<std::uint16_t>(std::atoi(port)); }};
  two.box->also = [&two](const raft::parcel& p) { two.send(1, "echo " + payload_of(p)); };
  two.start({{store::member_id{1}, "m1", "127.0.0.1", static_cast<std::uint16_t>(std::atoi(parent))}});
  const auto line = std::to_string(two.mesh->port()) + "\n";
  CHECK(::write(1, line.data(), line.size()) > 0);
  char sink[16];
  while (::read(0, sink, sizeof sink) > 0) {
  }
}

TEST_CASE("a master that is killed, and one that stands still, are lost soon and linked again when they are back") {
  lab_master one{1};
  std::uint16_t port = 0;
  const auto linked = [&] { return one.status(2).connected; };
  const auto answers = [&](const std::string& text) {
    const auto had = one.box->size();
    one.send(2, text);
    return one.box->wait_for(had + 1) && payload_of(*one.box->at(had)) == "echo " + text;
  };
  {
    other_process two(one.address(), port);
    port = two.address().port;
    one.start({two.address()});
    REQUIRE(one.wait_linked(2));
    CHECK(answers("first"));
    two.kill_hard();
    const auto lost = time_until([&] { return !linked(); });
    MESSAGE("kill -9 seen after " << lost.count() << " ms");
    CHECK(lost < 2s);
  }
  other_process two(one.address(), port);
  const auto back = time_until(linked);
  MESSAGE("linked again after " << back.count() << " ms");
  CHECK(answers("second"));
  two.signal(SIGSTOP);
  const auto silent = time_until([&] { return !linked(); });
  MESSAGE("standstill seen after " << silent.count() << " ms");
  CHECK(silent < 5s);
  one.send(2, "into the void");
  two.signal(SIGCONT);
  const auto again = time_until(linked);
  MESSAGE("linked again after " << again.count() << " ms");
  CHECK(answers("third"));
}
