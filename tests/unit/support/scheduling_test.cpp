#include "actors/support/scheduling.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace troupe;

namespace {

/// Who handled what on which thread, in the order it happened.
class journal {
public:
  struct entry {
    int who, what;
    std::thread::id on;
    bool here() const { return on == std::this_thread::get_id(); }
  };
  void note(int who, int what) {
    std::lock_guard lock(mutex_);
    entries_.push_back({who, what, std::this_thread::get_id()});
    changed_.notify_all();
  }
  std::vector<entry> now() const {
    std::lock_guard lock(mutex_);
    return entries_;
  }
  std::vector<entry> await(std::size_t n) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return entries_.size() >= n; }));
    CHECK(entries_.size() == n);
    return entries_;
  }

private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<entry> entries_;
};

/// What an actor does with a number, beyond noting it; may be empty.
using extra = std::function<void(caf::event_based_actor*, int)>;

caf::behavior noting(caf::event_based_actor* self, journal& into, int who, extra more) {
  return {[self, &into, who, more = std::move(more)](int what) {
    into.note(who, what);
    if (more) more(self, what);
  }};
}

class quick_actor final : public caf::event_based_actor, public brief_actor {
public:
  quick_actor(caf::actor_config& cfg, journal& into, int who, extra more)
      : event_based_actor(cfg), into_(into), who_(who), more_(std::move(more)) {}

protected:
  caf::behavior make_behavior() override { return noting(this, into_, who_, more_); }

private:
  journal& into_;
  const int who_;
  extra more_;
};

struct lab {
  struct config : caf::actor_system_config {
    config() { configure_scheduler(*this, 2); }
  };
  config settings;
  journal notes; // outlives the actors
  caf::actor_system system{settings};

  /// They have nothing to do before their first message.
  caf::actor quick(int who = 1, extra more = {}) {
    return system.spawn<quick_actor, caf::lazy_init>(notes, who, std::move(more));
  }
  caf::actor ordinary(int who = 1, extra more = {}) {
    return system.spawn<caf::lazy_init>(
        [this, who, more = std::move(more)](caf::event_based_actor* self) { return noting(self, notes, who, more); });
  }
};

} // namespace

TEST_CASE("a brief actor that gets its first message in a turn is run by this thread at the turn's end") {
  lab l;
  const auto a = l.quick();
  for (int round = 1; round <= 3; ++round) {
    {
      const run_here turn;
      caf::anon_send(a, round);
      CHECK(l.notes.now().size() == static_cast<std::size_t>(round) - 1); // nobody else has it
    }
    const auto seen = l.notes.now();
    REQUIRE(seen.size() == static_cast<std::size_t>(round));
    CHECK(seen.back().what == round);
    CHECK(seen.back().here());
  }
}

TEST_CASE("outside of a turn, and for an ordinary actor, a worker runs it") {
  lab l;
  const auto a = l.quick(1);
  const auto b = l.ordinary(2);
  caf::anon_send(a, 1);
  CHECK_FALSE(l.notes.await(1)[0].here());
  {
    const run_here turn;
    caf::anon_send(b, 2);
    CHECK_FALSE(l.notes.await(2)[1].here());
  }
  caf::anon_send(b, 3);
  CHECK_FALSE(l.notes.await(3)[2].here());
}

TEST_CASE("who has more messages than its share goes on at a worker, and nothing is lost") {
  lab l;
  const auto a = l.quick();
  constexpr int all = 5 * static_cast<int>(run_here::messages_each);
  {
    const run_here turn;
    for (int i = 0; i < all; ++i)
      caf::anon_send(a, i);
  }
  const auto seen = l.notes.await(all);
  for (int i = 0; i < all; ++i) {
    CHECK(seen[i].what == i);
    CHECK(seen[i].here() == (i < static_cast<int>(run_here::messages_each)));
  }
}

TEST_CASE("more actors than a turn keeps go to the workers") {
  lab l;
  constexpr int kept = run_here::jobs_max, all = kept + 5;
  std::vector<caf::actor> actors;
  for (int i = 0; i < all; ++i)
    actors.push_back(l.quick(i));
  {
    const run_here turn;
    for (const auto& a : actors)
      caf::anon_send(a, 0);
    l.notes.await(all - kept); // they do not wait for the turn's end
  }
  for (const auto& e : l.notes.await(all))
    CHECK(e.here() == (e.who < kept));
}

TEST_CASE("a turn within another leaves everything to the outer one") {
  lab l;
  const auto a = l.quick();
  {
    const run_here outer;
    {
      const run_here inner;
      caf::anon_send(a, 1);
    }
    CHECK(l.notes.now().empty());
    caf::anon_send(a, 2);
  }
  const auto seen = l.notes.now();
  REQUIRE(seen.size() == 2);
  CHECK(std::all_of(seen.begin(), seen.end(), [](const auto& e) { return e.here(); }));
  caf::anon_send(a, 3);
  CHECK_FALSE(l.notes.await(3)[2].here()); // the turn is over
}

TEST_CASE("what a kept actor wakes is run, too: brief ones here, others by a worker") {
  lab l;
  const auto d = l.ordinary(4);
  const auto c = l.quick(3, [&](auto* self, int what) { self->send(d, what); });
  const auto b = l.quick(2, [&](auto* self, int what) {
    const run_here within; // as the log writer's or a link's would be
    self->send(c, what);
  });
  const auto a = l.quick(1, [&](auto*, int what) { caf::anon_send(b, what); });
  {
    const run_here turn;
    caf::anon_send(a, 7);
  }
  const auto seen = l.notes.await(4);
  for (int i = 0; i < 4; ++i) {
    CHECK(seen[i].who == i + 1);
    CHECK(seen[i].what == 7);
    CHECK(seen[i].here() == (i < 3));
  }
}

TEST_CASE("two actors that keep waking each other do not hold the thread") {
  lab l;
  constexpr int enough = 10 * static_cast<int>(run_here::jobs_max);
  caf::actor a, b;
  a = l.quick(1, [&](auto* self, int what) {
    if (what < enough) self->send(b, what + 1);
  });
  b = l.quick(2, [&](auto* self, int what) {
    if (what < enough) self->send(a, what + 1);
  });
  {
    const run_here turn;
    caf::anon_send(a, 1);
  }
  const auto seen = l.notes.await(enough);
  const auto here = std::count_if(seen.begin(), seen.end(), [](const auto& e) { return e.here(); });
  CHECK(here == static_cast<std::ptrdiff_t>(run_here::jobs_max));
}

TEST_CASE("an actor's own turn runs what it woke on the same worker") {
  lab l;
  const auto b = l.quick(2);
  const auto a = l.ordinary(1, [&](auto* self, int what) {
    const run_here turn;
    self->send(b, what);
  });
  caf::anon_send(a, 1);
  const auto seen = l.notes.await(2);
  CHECK(seen[1].who == 2);
  CHECK(seen[1].on == seen[0].on);
}

TEST_CASE("a kept actor that quits is released at the turn's end, and what it still had is dropped") {
  lab l;
  const auto alive = std::make_shared<int>();
  auto a = l.quick(1, [alive](auto* self, int) { self->quit(); });
  auto b = l.quick(2, [alive](auto*, int) {});
  {
    const run_here turn;
    caf::anon_send(a, 1);
    caf::anon_send(a, 2);
    caf::anon_send_exit(b, caf::exit_reason::kill);
    caf::anon_send(b, 1);
    a = b = nullptr;
    CHECK(alive.use_count() > 1); // the turn holds them
  }
  CHECK(alive.use_count() == 1);
  CHECK(l.notes.now().size() == 1);
}

TEST_CASE("an actor whose handler throws ends alone") {
  lab l;
  const auto a = l.quick(1, [](auto* self, int) {
    self->set_exception_handler([](std::exception_ptr&) -> caf::error { return caf::sec::runtime_error; });
    throw std::runtime_error("no");
  });
  const auto b = l.quick(2);
  {
    const run_here turn;
    caf::anon_send(a, 1);
    caf::anon_send(b, 2);
  }
  const auto seen = l.notes.now();
  REQUIRE(seen.size() == 2);
  CHECK(seen[1].who == 2);
  CHECK(seen[1].here());
}

TEST_CASE("no two threads run an actor at once, whoever keeps it") {
  lab l;
  constexpr int threads = 4, each = 2000;
  int plain = 0; // of the actor alone
  std::atomic<int> inside{0}, overlaps{0};
  const auto a = l.quick(1, [&](auto*, int) {
    if (inside.fetch_add(1) != 0) ++overlaps;
    ++plain;
    --inside;
  });
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t)
    all.emplace_back([&] {
      for (int i = 0; i < each; i += 4) {
        const run_here turn;
        for (int j = 0; j < 4; ++j)
          caf::anon_send(a, i + j);
      }
    });
  for (auto& t : all)
    t.join();
  l.notes.await(threads * each);
  caf::anon_send_exit(a, caf::exit_reason::kill);
  l.system.await_all_actors_done();
  CHECK(plain == threads * each);
  CHECK(overlaps == 0);
}
