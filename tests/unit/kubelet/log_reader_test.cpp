#include "actors/kubelet/stream/log_reader.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace troupe;
using namespace troupe::kubelet;

namespace {
const std::string t = "2026-11-23T10:00:0";
std::string at(int n, const std::string& rest) { return t + std::to_string(n) + ".000000001Z " + rest + "\n"; }
const std::string golden = at(0, "stdout F one") + at(1, "stderr F two") + at(2, "stdout P thr") + at(3, "stdout P e") +
                           at(4, "stdout F e") + at(5, "stdout F ") + at(6, "stdout F six");

struct memory_file {
  int fd;
  std::uint64_t size;
  explicit memory_file(const std::string& bytes) : fd(::memfd_create("log", MFD_CLOEXEC)), size(bytes.size()) {
    CHECK(::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  ~memory_file() { ::close(fd); }
};

std::string all(log_options o, const std::string& bytes = golden) { return log_formatter{o}.feed(bytes); }
} // namespace

TEST_CASE("lines of the CRI format are read, others are not") {
  auto l = parse_log_line("2026-11-23T10:00:00.000000001Z stdout F hello world");
  REQUIRE(l);
  CHECK(l->text == "hello world");
  CHECK(l->stream == "stdout");
  CHECK_FALSE(l->partial);
  CHECK(parse_log_line("2026-11-23T10:00:00.000000001Z stderr P x")->partial);
  CHECK(parse_log_line("2026-11-23T10:00:00.000000001Z stdout F ")->text.empty());
  for (auto bad : {"", "hello", "2026 stdout F x", "2026-11-23T10:00:00.000000001Z other F x",
                   "2026-11-23T10:00:00.000000001Z stdout X x"})
    CHECK_FALSE(parse_log_line(bad));
}

TEST_CASE("partial lines are joined") { CHECK(all({}) == "one\ntwo\nthree\n\nsix\n"); }

TEST_CASE("timestamps of another offset are told in UTC with all their digits") {
  CHECK(all({.timestamps = true}, "2026-11-23T07:46:11.113031066+02:00 stdout F line\n") ==
        "2026-11-23T05:46:11.113031066Z line\n");
}

TEST_CASE("timestamps stand before each line once") {
  CHECK(all({.timestamps = true}) == t + "0.000000001Z one\n" + t + "1.000000001Z two\n" + t + "2.000000001Z three\n" +
                                         t + "5.000000001Z \n" + t + "6.000000001Z six\n");
}

TEST_CASE("limitBytes cuts, also inside a line") {
  CHECK(all({.bytes_max = 6}) == "one\ntw");
  CHECK(all({.bytes_max = 0}).empty());
  log_formatter f{{.bytes_max = 3}};
  f.feed(golden);
  CHECK(f.full());
}

TEST_CASE("since leaves out what is older") {
  auto ns = std::int64_t{1795428004} * 1'000'000'000; // 2026-11-23T10:00:04Z
  CHECK(all({.since_ns = ns}) == "e\n\nsix\n");
}

TEST_CASE("bytes may arrive in any pieces") {
  for (std::size_t cut = 0; cut <= golden.size(); ++cut) {
    log_formatter f{{}};
    auto text = f.feed(std::string_view{golden}.substr(0, cut));
    text += f.feed(std::string_view{golden}.substr(cut));
    CHECK(text == "one\ntwo\nthree\n\nsix\n");
  }
}

TEST_CASE("tail finds the beginning of the last lines from the end") {
  memory_file file{golden};
  auto tail = [&](std::int64_t n) { return all({}, golden.substr(tail_offset(file.fd, file.size, n))); };
  CHECK(tail(0).empty());
  CHECK(tail(1) == "six\n");
  CHECK(tail(2) == "\nsix\n");
  CHECK(tail(3) == "three\n\nsix\n");
  CHECK(tail(4) == "two\nthree\n\nsix\n");
  CHECK(tail(5) == "one\ntwo\nthree\n\nsix\n");
  CHECK(tail(99) == "one\ntwo\nthree\n\nsix\n");
}

TEST_CASE("tail works over many blocks") {
  std::string big;
  for (int i = 0; i < 20000; ++i)
    big += at(i % 10, "stdout F line " + std::to_string(i));
  memory_file file{big};
  auto text = all({}, big.substr(tail_offset(file.fd, file.size, 2)));
  CHECK(text == "line 19998\nline 19999\n");
  CHECK(all({}, big.substr(tail_offset(file.fd, file.size, 15000))).starts_with("line 5000\n"));
}

TEST_CASE("the text of a failed container's last words is taken from its log") {
  char name[] = "/tmp/troupe-kubelet-log-XXXXXX";
  int fd = ::mkstemp(name);
  CHECK(::write(fd, golden.data(), golden.size()) > 0);
  ::close(fd);
  CHECK(log_tail_text(name, 2, 100) == "\nsix\n");
  CHECK(log_tail_text(name, 80, 5) == "\nsix\n");
  ::unlink(name);
  CHECK(log_tail_text(name, 2, 100).empty());
}
