#include "actors/scheduler/schedule_queue.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace std::chrono_literals;

namespace {
constexpr sys_micros t0{std::chrono::seconds{1000}};

sched::pod_ptr pod(const std::string& name, std::int64_t priority = 0, bool gated = false) {
  auto p = std::make_shared<sched::pod_request>();
  p->name = name;
  p->uid = name;
  p->priority = priority;
  if (gated) p->gates = {"wait"};
  return p;
}
} // namespace

TEST_CASE("important pods come first, then those that wait longest") {
  sched::schedule_queue q{{}};
  q.put(pod("a"), t0);
  q.put(pod("b", 10), t0);
  q.put(pod("c"), t0);
  q.put(pod("a"), t0); // again: keeps its place
  CHECK(q.pop()->name == "b");
  CHECK(q.pop()->name == "a");
  CHECK(q.pop()->name == "c");
  CHECK(q.pop() == nullptr);
}

TEST_CASE("gated pods wait until their gates are gone") {
  sched::schedule_queue q{{}};
  q.put(pod("a", 0, true), t0);
  CHECK_FALSE(q.ready());
  q.put(pod("a"), t0);
  CHECK(q.ready());
}

TEST_CASE("a refused pod waits for a helpful event, and then out its back-off, which doubles") {
  sched::schedule_queue q{{}};
  q.put(pod("a"), t0);
  auto p = q.pop();
  q.refused(p, t0);
  CHECK(q.flush(t0 + 10s) == t0 + 300s);
  q.move(t0 + 10s);
  CHECK(q.ready()); // the first back-off of 1 s is long over
  p = q.pop();
  q.refused(p, t0 + 10s);
  q.move(t0 + 11s);
  CHECK_FALSE(q.ready());
  CHECK(q.flush(t0 + 11s) == t0 + 12s);
  q.flush(t0 + 12s);
  CHECK(q.ready());
  p = q.pop();
  q.refused(p, t0 + 12s);
  CHECK_FALSE(q.flush(t0 + 311s) == std::nullopt);
  q.flush(t0 + 312s);
  CHECK(q.ready()); // tried again without any event
}

TEST_CASE("only pods that the event may help are moved") {
  sched::schedule_queue q{{}};
  for (const char* n : {"a", "b"})
    q.put(pod(n), t0);
  while (auto p = q.pop())
    q.refused(p, t0);
  q.move(t0 + 5s, [](const sched::pod_request& p) { return p.name == "b"; });
  CHECK(q.active() == 1);
  CHECK(q.pop()->name == "b");
}

TEST_CASE("a removed pod never comes back") {
  sched::schedule_queue q{{}};
  q.put(pod("a"), t0);
  auto p = q.pop();
  q.retry(p, t0);
  q.remove("a");
  CHECK(q.flush(t0 + 60s) == std::nullopt);
  CHECK_FALSE(q.ready());
  CHECK(q.size() == 0);
}
