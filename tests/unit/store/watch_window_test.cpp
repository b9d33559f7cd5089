#include "store/watch_window.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

using namespace troupe::store;

namespace {

change_record change(const std::string& table, revision rev, std::size_t bytes = 10) {
  auto o = std::make_shared<object>();
  o->name = "x";
  o->mod = rev;
  o->bytes = std::string(bytes, 'x');
  return {std::make_shared<const std::string>(table), event_type::added, o, nullptr};
}

} // namespace

TEST_CASE("a cursor gets every later event once and in order") {
  watch_window w;
  w.start(0, 0);
  for (revision r = 1; r <= 10; ++r)
    w.append({change(r % 2 ? "odd" : "even", r)}, r);
  auto p = w.pull("odd", 3, 100);
  REQUIRE(p.events.size() == 3);
  CHECK(p.events[0]->rev == 5);
  CHECK(p.events[2]->rev == 9);
  CHECK(p.upto == 10);
  p = w.pull("odd", 10, 100);
  CHECK(p.events.empty());
  CHECK(p.upto == 10);
}

TEST_CASE("a limited pull says how far it got, and never splits a transaction") {
  watch_window w;
  w.start(0, 0);
  w.append({change("t", 1), change("t", 1), change("t", 1), change("t", 2)}, 2);
  auto p = w.pull("t", 0, 2);
  CHECK(p.events.size() == 3);
  CHECK(p.upto == 1);
  p = w.pull("t", p.upto, 2);
  CHECK(p.events.size() == 1);
  CHECK(p.upto == 2);
}

TEST_CASE("a cursor older than the window is told so, with the oldest it may use") {
  watch_window::bounds b;
  b.events_max = 10;
  watch_window w(b);
  w.start(100, 100);
  CHECK(w.pull("t", 99, 10).too_old);
  CHECK(w.pull("t", 99, 10).oldest == 100);
  CHECK_FALSE(w.pull("t", 100, 10).too_old);
  for (revision r = 101; r <= 150; ++r)
    w.append({change("t", r)}, r);
  auto p = w.pull("t", 139, 100);
  CHECK(p.too_old);
  CHECK(p.oldest == 140);
  CHECK(w.pull("t", 140, 100).events.size() == 10);
  CHECK_FALSE(w.pull("other", 120, 100).too_old); // other tables lost nothing
  CHECK(w.pull("other", 120, 100).upto == 150);
}

TEST_CASE("windows are bounded by bytes, per table and over all") {
  watch_window::bounds b;
  b.bytes_max = 100000;
  b.hub_bytes_max = 150000;
  watch_window w(b);
  w.start(0, 0);
  revision r = 0;
  for (int i = 0; i < 300; ++i)
    for (const char* t : {"a", "b", "c"})
      w.append({change(t, ++r, 1000)}, r);
  CHECK(w.bytes() <= 150000);
  CHECK(w.pull("a", 0, 10).too_old);
}

TEST_CASE("a subscription wakes once per arming, at once when something is there") {
  watch_window w;
  w.start(0, 0);
  int woken = 0;
  auto s = w.subscribe("t", [&] { ++woken; });
  w.append({change("t", 1)}, 1);
  CHECK(woken == 0);
  s->arm(0);
  CHECK(woken == 1);
  s->arm(1);
  CHECK(woken == 1);
  w.append({change("other", 2)}, 2);
  CHECK(woken == 1);
  w.append({change("t", 3)}, 3);
  w.append({change("t", 4)}, 4);
  CHECK(woken == 2);
  s->arm(4);
  s.reset();
  w.append({change("t", 5)}, 5);
  CHECK(woken == 2);
}

TEST_CASE("lines are framed as watch events") {
  event e;
  auto o = std::make_shared<object>();
  o->bytes = "{}";
  e.current = o;
  e.type = event_type::modified;
  CHECK(e.line() == "{\"type\":\"MODIFIED\",\"object\":{}}\n");
}

TEST_CASE("watchers on other threads miss, repeat and reorder nothing") {
  watch_window w;
  w.start(0, 0);
  constexpr revision last = 4000;
  std::vector<std::thread> readers;
  std::atomic<int> good{0};
  for (int k = 0; k < 3; ++k) {
    readers.emplace_back([&w, &good] {
      std::mutex m;
      std::condition_variable cv;
      bool rung = false;
      auto s = w.subscribe("t", [&] {
        std::lock_guard g(m);
        rung = true;
        cv.notify_one();
      });
      revision cursor = 0;
      std::size_t n = 0;
      while (cursor < last) {
        auto p = w.pull("t", cursor, 7);
        for (const auto& e : p.events) {
          if (e->rev < cursor) return;
          n += 1;
        }
        // Each transaction holds two events: an odd count at a border would be half a transaction.
        if (n % 2 != 0 || p.upto < cursor) return;
        const bool idle = p.events.empty();
        cursor = p.upto;
        if (!idle || cursor >= last) continue;
        s->arm(cursor);
        std::unique_lock g(m);
        cv.wait(g, [&] { return rung; });
        rung = false;
      }
      if (n == 2 * last) ++good;
    });
  }
  for (revision r = 1; r <= last; ++r)
    w.append({change("t", r), change("u", r), change("t", r)}, r);
  for (auto& t : readers)
    t.join();
  CHECK(good == 3);
}

TEST_CASE("a hub that starts anew forgets its events, wakes who waits and tells who is behind") {
  watch_window w;
  w.start(0, 0);
  for (revision r = 1; r <= 5; ++r)
    w.append({change("t", r)}, r);
  int woken = 0;
  auto s = w.subscribe("t", [&] { ++woken; });
  s->arm(5);
  w.start(100, 100);
  CHECK(woken == 1);
  CHECK(w.bytes() == 0);
  CHECK(w.pull("t", 5, 10).too_old);
  CHECK(w.pull("t", 5, 10).oldest == 100);
  CHECK_FALSE(w.pull("t", 100, 10).too_old);
  w.append({change("t", 101)}, 101);
  CHECK(w.pull("t", 100, 10).events.size() == 1);
}
