// What a brief actor holds while the thread of a loop runs it now and a worker then. It is plain memory: only the way
// the actor is handed over makes it safe, which ThreadSanitizer checks, with a CAF that is built for it, too.
#include "actors/link/frame_loop.hpp"
#include "actors/support/scheduling.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

using namespace troupe;
using namespace troupe::link;
using namespace std::chrono_literals;

namespace {

constexpr int each = static_cast<int>(run_here::messages_each);
constexpr auto patience = 40s; // that no healthy machine needs

/// True on a thread of a loop.
thread_local bool of_loop = false;

/// Numbers go in at the far end, as frames of the smallest kind, and `take` gets them on the loop's thread.
class wire {
public:
  using taker = std::function<void(int)>;

  wire(frame_loop& loop, taker take) {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    far_ = session(fds[0], "the loop");
    frame_handlers handlers;
    handlers.on_frame = [take = std::move(take)](std::string_view payload) -> result<void> {
      of_loop = true;
      auto m = decode_payload(payload);
      if (!m) return m.error();
      take(static_cast<int>(std::get<credit>(*m).bytes));
      return {};
    };
    frame_bounds bounds;
    bounds.silence_max = 1h;
    near = loop.adopt(session(fds[1], "the test"), std::move(handlers), bounds);
  }

  /// In one piece: the loop reads them in one turn.
  void say(int first, int count) {
    std::string all;
    for (int i = 0; i < count; ++i)
      all += encode_frame(credit{first + i});
    ssize_t sent;
    while ((sent = ::send(far_.fd(), all.data(), all.size(), MSG_NOSIGNAL)) < 0 && errno == EAGAIN) {
      pollfd p{far_.fd(), POLLOUT, 0};
      REQUIRE(::poll(&p, 1, std::chrono::milliseconds(patience).count()) == 1);
    }
    REQUIRE(sent == static_cast<ssize_t>(all.size()));
  }
  int hear() {
    const auto payload = read_frame(far_, limits::link::frame_bytes_max, std::chrono::steady_clock::now() + patience);
    REQUIRE(payload.has_value());
    return static_cast<int>(std::get<credit>(decode_payload(*payload).value()).bytes);
  }

  frame_link_ptr near;

private:
  session far_;
};

/// What the actor alone touches.
struct held {
  struct entry {
    int from, number;
    bool on_loop;
  };
  std::vector<entry> taken;
  int to_loop = 0, to_worker = 0; // how often another thread than before went on

  void take(int from, int number) {
    const bool first = taken.empty();
    if (of_loop && (first || !taken.back().on_loop)) ++to_loop;
    if (!of_loop && !first && taken.back().on_loop) ++to_worker;
    taken.push_back({from, number, of_loop});
  }
};

using handler = std::function<void(int from, int number)>;

class keeper final : public caf::event_based_actor, public brief_actor {
public:
  keeper(caf::actor_config& cfg, handler h) : event_based_actor(cfg), handler_(std::move(h)) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](int from, int number) { handler_(from, number); }};
  }

private:
  handler handler_;
};

struct lab {
  struct config : caf::actor_system_config {
    config() { configure_scheduler(*this, 2); }
  };

  caf::actor brief(handler h) { return system.spawn<keeper, caf::lazy_init>(std::move(h)); }
  /// Until the actor has handled that many. It orders nothing between the threads: a lock or an answer would hide it if
  /// nothing else did.
  void await(int number) const {
    const auto by = std::chrono::steady_clock::now() + patience;
    while (done.load(std::memory_order_relaxed) < number) {
      REQUIRE(std::chrono::steady_clock::now() < by);
      std::this_thread::yield();
    }
  }
  /// Afterwards the test may look at what the actor held.
  void end(std::initializer_list<caf::actor> all) {
    for (const auto& a : all)
      caf::anon_send_exit(a, caf::exit_reason::kill);
    system.await_all_actors_done();
  }

  // They outlive the actors, also when a check fails.
  config settings;
  held own;
  std::array<frame_link_ptr, 2> links;
  std::atomic<int> done{0}; // how many the actor has handled
  std::atomic<int> returns{0}, inside{0}, overlaps{0};
  caf::actor_system system{settings};
};

} // namespace

TEST_CASE("what a brief actor holds goes with it from a link's thread to a worker, and back") {
  constexpr int burst = 3 * each, enough = 200;
  lab l;
  const auto a = l.brief([&](int from, int number) {
    l.own.take(from, number);
    l.returns.store(l.own.to_loop, std::memory_order_relaxed);
    l.done.fetch_add(1, std::memory_order_relaxed);
  });
  const auto loop = frame_loop::make("links");
  wire w(*loop, [a](int number) { caf::anon_send(a, 0, number); });
  w.near->start();
  int said = 0;
  // A worker that is not through with the last burst takes the next one, too: then there is one return less.
  while (l.returns.load(std::memory_order_relaxed) < enough) {
    w.say(said + 1, burst);
    said += burst;
    l.await(said);
  }
  loop->stop();
  l.end({a});
  const auto& taken = l.own.taken;
  REQUIRE(taken.size() == static_cast<std::size_t>(said));
  for (int i = 0; i < said; ++i)
    REQUIRE(taken[i].number == i + 1);
  for (int i = 0; i < burst; ++i) // the first one found the actor idle
    CHECK(taken[i].on_loop == (i < each));
  CHECK(l.own.to_loop >= enough);
  CHECK(l.own.to_worker >= l.own.to_loop - 1);
}

TEST_CASE("a brief actor that two loops and workers wake at once is run by one of them, and each link is answered") {
  constexpr int few = 4, count = 400 * few;
  lab l;
  const auto a = l.brief([&](int from, int number) {
    if (l.inside.fetch_add(1, std::memory_order_relaxed) != 0) ++l.overlaps;
    l.own.take(from, number);
    if (from < 2) l.links[from]->send(credit{number}); // of a loop's thread, the other's, or a worker
    l.inside.fetch_sub(1, std::memory_order_relaxed);
    l.done.fetch_add(1, std::memory_order_relaxed);
  });
  // An ordinary actor: a worker sends what it says.
  const auto worker = l.system.spawn<caf::lazy_init>([a](caf::event_based_actor* self) -> caf::behavior {
    return {[self, a](int number) { self->send(a, 2, number); }};
  });
  std::array<std::shared_ptr<frame_loop>, 2> loops{frame_loop::make("one"), frame_loop::make("two")};
  std::vector<wire> wires;
  for (int i = 0; i < 2; ++i) {
    wires.emplace_back(*loops[i], [a, i](int number) { caf::anon_send(a, i, number); });
    l.links[i] = wires[i].near;
  }
  for (auto& w : wires) {
    w.near->start();
    w.say(0, 1);
    REQUIRE(w.hear() == 0); // nobody else wakes it: a loop's thread runs it
  }
  for (int n = 1; n <= count; n += few) { // again and again it is idle, and one of three wakes it
    for (auto& w : wires)
      w.say(n, few);
    for (int i = 0; i < few; ++i)
      caf::anon_send(worker, n + i);
    l.await(2 + 3 * (n + few - 1));
  }
  for (auto& w : wires)
    for (int n = 1; n <= count; ++n)
      REQUIRE(w.hear() == n);
  for (auto& loop : loops)
    loop->stop();
  l.end({a, worker});
  CHECK(l.overlaps == 0);
  CHECK(l.own.taken.front().on_loop);
  std::array<int, 3> last{-1, -1, 0};
  for (const auto& e : l.own.taken)
    REQUIRE(e.number == ++last[e.from]);
  CHECK(last == std::array<int, 3>{count, count, count});
}
