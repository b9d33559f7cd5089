#include "temp_dir.hpp"

#include "actors/kubelet/context.hpp"
#include "actors/kubelet/io_thread.hpp"
#include "actors/kubelet/stream/fd_stream.hpp"
#include "actors/kubelet/stream/stream_door.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <fstream>
#include <future>
#include <sys/socket.h>
#include <unistd.h>

using namespace troupe;
using namespace troupe::kubelet;
using namespace troupe::kubelet::test;
using namespace std::chrono_literals;

namespace {

context_ptr make_context(const std::string& dir) {
  auto ctx = std::make_shared<kubelet_context>();
  ctx->options.data_dir = dir;
  ctx->options.engine = runtime::make_hollow_engine();
  ctx->work = make_work_pool(1);
  ctx->slow = make_work_pool(2);
  ctx->io = std::make_shared<io_thread>();
  return ctx;
}

/// Waits for the answer of one `next`; generous, because only a hang would use it up.
stream_chunk next(const pod_stream_ptr& s) {
  auto p = std::make_shared<std::promise<stream_chunk>>();
  s->next([p](stream_chunk c) { p->set_value(std::move(c)); });
  auto f = p->get_future();
  REQUIRE(f.wait_for(30s) == std::future_status::ready);
  return f.get();
}

struct two_pipes {
  int in[2], out[2], err[2];
  two_pipes() {
    CHECK(::pipe2(in, O_CLOEXEC) == 0);
    CHECK(::pipe2(out, O_CLOEXEC) == 0);
    CHECK(::pipe2(err, O_CLOEXEC) == 0);
  }
  void say(int fd, const std::string& s) { CHECK(::write(fd, s.data(), s.size()) == static_cast<ssize_t>(s.size())); }
};

const std::string head = "2026-11-23T10:00:00.000000001Z stdout F ";

} // namespace

TEST_CASE("a stream carries both outputs, the input and the last word") {
  temp_dir d;
  auto ctx = make_context(d.path);
  two_pipes p;
  fd_stream_setup s;
  s.in = p.in[1];
  s.out = p.out[0];
  s.err = p.err[0];
  s.end = [] { return stream_chunk{3, "bye", true}; };
  auto stream = make_fd_stream(ctx, std::move(s));
  p.say(p.out[1], "hello");
  auto c = next(stream);
  CHECK(c.channel == 1);
  CHECK(c.bytes == "hello");
  p.say(p.err[1], "ouch");
  c = next(stream);
  CHECK(c.channel == 2);
  CHECK(c.bytes == "ouch");
  CHECK(stream->write(0, "question", [] {}));
  char buffer[16];
  CHECK(::read(p.in[0], buffer, sizeof buffer) == 8);
  stream->close_stdin();
  CHECK(::read(p.in[0], buffer, sizeof buffer) == 0);
  ::close(p.out[1]);
  ::close(p.err[1]);
  c = next(stream);
  CHECK(c.channel == 3);
  CHECK(c.bytes == "bye");
  CHECK(c.end);
  ::close(p.in[0]);
}

TEST_CASE("letting go of a stream abandons what it stands for") {
  temp_dir d;
  auto ctx = make_context(d.path);
  two_pipes p;
  std::promise<void> abandoned;
  fd_stream_setup s;
  s.out = p.out[0];
  s.abandon = [&] { abandoned.set_value(); };
  auto stream = make_fd_stream(ctx, std::move(s));
  stream->next([](stream_chunk) {});
  stream.reset();
  CHECK(abandoned.get_future().wait_for(30s) == std::future_status::ready);
  for (int fd : {p.in[0], p.in[1], p.out[1], p.err[0], p.err[1]})
    ::close(fd);
}

TEST_CASE("input that nobody reads fills up, and tells when there is room again") {
  temp_dir d;
  auto ctx = make_context(d.path);
  two_pipes p;
  fd_stream_setup s;
  s.in = p.in[1];
  s.out = p.out[0];
  auto stream = make_fd_stream(ctx, std::move(s));
  std::promise<void> drained;
  std::string piece(64 * 1024, 'x');
  std::size_t written = 0;
  bool room = true;
  while (room && written < 100) {
    room = stream->write(0, piece, [&] { drained.set_value(); });
    ++written;
  }
  CHECK_FALSE(room);
  std::size_t got = 0;
  std::string buffer(piece.size(), '\0');
  while (got < written * piece.size()) {
    auto n = ::read(p.in[0], buffer.data(), buffer.size());
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  CHECK(got == written * piece.size());
  CHECK(drained.get_future().wait_for(30s) == std::future_status::ready);
  stream.reset();
  for (int fd : {p.in[0], p.out[1], p.err[0], p.err[1]})
    ::close(fd);
}

TEST_CASE("a followed log gives new lines, survives rotation and ends with its container") {
  temp_dir d;
  auto ctx = make_context(d.path);
  REQUIRE(ctx->options.engine->create_sandbox({.id = "u"}).has_value());
  REQUIRE(ctx->options.engine->create({.id = "c", .sandbox_id = "u", .name = "c"}).has_value());
  REQUIRE(ctx->options.engine->start("c").has_value());
  auto path = d.path + "/0.log";
  std::ofstream{path} << head << "one\n" << head << "two\n";
  open_stream what;
  what.follow = true;
  what.tail_lines = 1;
  auto stream = make_log_stream(ctx, what, path, "c");
  CHECK(next(stream).bytes == "two\n");
  std::ofstream{path, std::ios::app} << head << "three\n";
  CHECK(next(stream).bytes == "three\n");
  std::filesystem::rename(path, path + ".1");
  std::ofstream{path} << head << "four\n";
  CHECK(next(stream).bytes == "four\n");
  ctx->exits.fire("c");
  CHECK(next(stream).end);
}

TEST_CASE("a log that is not followed ends at its end") {
  temp_dir d;
  auto ctx = make_context(d.path);
  auto path = d.path + "/0.log";
  std::ofstream{path} << head << "one\n";
  auto stream = make_log_stream(ctx, {}, path, "c");
  CHECK(next(stream).bytes == "one\n");
  CHECK(next(stream).end);
}

TEST_CASE("a work pool runs everything and refuses nothing while there is room") {
  auto pool = make_work_pool(3);
  std::atomic<int> done{0};
  std::promise<void> all;
  for (int i = 0; i < 100; ++i)
    CHECK(pool->post([&] {
      if (++done == 100) all.set_value();
    }));
  CHECK(all.get_future().wait_for(30s) == std::future_status::ready);
  int inside = 0;
  CHECK(make_work_pool(0)->post([&] { inside = 1; }));
  CHECK(inside == 1);
}
