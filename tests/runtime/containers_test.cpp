// Containers for real: needs root; skipped with a printed reason where they cannot run.
#include "tests/runtime/fixture.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

using namespace troupe;
using namespace troupe::runtime;
using namespace troupe::tests;

#define NEEDS_CONTAINERS()                                                                                             \
  if (const auto reason = why_not(); !reason.empty()) {                                                                \
    MESSAGE("skipped: " << reason);                                                                                    \
    return;                                                                                                            \
  }

TEST_CASE("a container runs, writes its log and reports its exit code") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell("one", "echo hello; echo oops >&2; exit 3"));
  const auto info = n.wait_exit("one");
  CHECK(info.exit_code == 3);
  CHECK(info.phase == container_phase::exited);
  CHECK_FALSE(info.oom_killed);
  CHECK(info.finished_at >= info.started_at);
  const auto log = n.log("one");
  CHECK(log.find(" stdout F hello\n") != std::string::npos);
  CHECK(log.find(" stderr F oops\n") != std::string::npos);
}

TEST_CASE("creating and starting is quick") {
  NEEDS_CONTAINERS();
  node n;
  n.sandbox();
  std::vector<double> sandbox, create, start, remove;
  for (int i = 0; i < 20; ++i) {
    const auto id = "c" + std::to_string(i);
    sandbox_spec box;
    box.id = "quick" + std::to_string(i);
    sandbox.push_back(milliseconds([&] { CHECK(n.engine->create_sandbox(box).has_value()); }));
    auto spec = n.shell(id, "trap 'exit 0' TERM; sleep 1000 & wait");
    spec.sandbox_id = box.id;
    create.push_back(milliseconds([&] { CHECK(n.engine->create(spec).has_value()); }));
    start.push_back(milliseconds([&] { CHECK(n.engine->start(id).has_value()); }));
    remove.push_back(milliseconds([&] { CHECK(n.engine->remove(id).has_value()); }));
  }
  for (auto* v : {&sandbox, &create, &start, &remove})
    std::sort(v->begin(), v->end());
  std::printf(
      "timing ms (p50, max of 20): sandbox %.1f %.1f, create %.1f %.1f, start %.1f %.1f, kill and remove %.1f %.1f\n",
      sandbox[10], sandbox[19], create[10], create[19], start[10], start[19], remove[10], remove[19]);
}
