#include "actors/support/attention.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

/// A loop whose time we make.
struct lab {
  attention a;
  attention::instant now{1h};

  /// Nothing to do for so long: looks each `step`, then sleeps. How long it looked.
  attention::duration wait(attention::duration whole, attention::duration step = 5us) {
    const auto end = now + whole;
    attention::duration looked{0};
    for (bool on = a.begin(now); on && now < end; on = a.go_on(now)) {
      now += step;
      looked += step;
    }
    if (now >= end) {
      a.found();
      return looked;
    }
    now = end;
    a.woke(now);
    return looked;
  }
  void make_attentive() {
    for (int i = 0; i < 8; ++i)
      wait(attention::longest);
  }
};

} // namespace

TEST_CASE("who never had anything to do does not look") {
  lab l;
  CHECK(l.wait(10ms) == 0us);
  CHECK(l.wait(10ms) == 0us);
}

TEST_CASE("the more often something comes soon, the longer it looks, up to the longest") {
  lab l;
  CHECK(l.wait(200us) == 0us);
  CHECK(l.wait(200us) == 40us); // in vain
  CHECK(l.wait(200us) == 80us);
  CHECK(l.wait(200us) == 160us);
  CHECK(l.wait(200us) == 200us); // found
  CHECK(l.wait(400us) == 320us);
  CHECK(l.wait(400us) == 400us);
  CHECK(l.wait(attention::longest) == 640us);
  CHECK(l.wait(attention::longest) == attention::longest);
}

TEST_CASE("what comes more seldom ends the looking") {
  lab l;
  l.make_attentive();
  CHECK(l.wait(10ms) == 700us);
  CHECK(l.wait(10ms) == 350us);
  CHECK(l.wait(10ms) == 175us);
  CHECK(l.wait(10ms) == 90us);
  CHECK(l.wait(10ms) == 45us);
  CHECK(l.wait(10ms) == 0us);
}

TEST_CASE("heartbeats alone, each with its answer close behind, cost next to nothing") {
  lab l;
  attention::duration looked{0};
  for (int i = 0; i < 100; ++i)
    looked += l.wait(80us) + l.wait(50ms);
  CHECK(looked <= 100 * attention::first);
}

TEST_CASE("where others need the processor it sleeps at once, and looks for nothing for a while, longer each time") {
  lab l;
  l.make_attentive();
  auto rest = attention::rest_first;
  for (int i = 0; i < 10; ++i) {
    CAPTURE(i);
    CHECK(l.wait(attention::longest, 450us) == 450us); // the first yield took so long
    const auto crowded_at = l.now;
    CHECK(l.wait(100us) == 0us);
    while (l.now - crowded_at < rest - 1ms)
      REQUIRE(l.wait(100us) == 0us);
    l.now += 1ms;
    CHECK(l.a.begin(l.now)); // rested
    l.a.woke(l.now + 50us);
    rest = std::min(2 * rest, attention::rest_longest);
  }
  CHECK(rest == attention::rest_longest);
}

TEST_CASE("what it finds shortens the next rest again") {
  lab l;
  l.make_attentive();
  for (int i = 0; i < 3; ++i) {
    l.wait(attention::longest, 450us);
    l.now += attention::rest_longest;
  }
  REQUIRE(l.wait(100us) == 100us); // found
  l.wait(attention::longest, 450us);
  l.now += attention::rest_first;
  CHECK(l.a.begin(l.now));
}

TEST_CASE("it looks until something is there, and no longer than the longest") {
  attention a;
  const auto attentive = [&] {
    for (int i = 0; i < 8; ++i) {
      const auto now = attention::instant::clock::now() - 1h;
      a.begin(now);
      a.woke(now + attention::longest);
    }
  };
  attentive();
  int looks = 0;
  const auto third = [&] { return ++looks == 3; };
  // Another process may take the processor between two looks: then it rests, and is asked again.
  while (!a.look(third))
    attentive();
  CHECK(looks == 3);
  CHECK_FALSE(a.look([] { return false; }));
}
