#include "actors/scheduler/scheduler.hpp"
#include "tests/support/actor_lab.hpp"
#include "tests/unit/scheduler/fixtures.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

struct scheduling : actor_lab {
  scheduling() {
    scheduler_options o;
    o.env = env("system:kube-scheduler");
    scheduler = spawn_scheduler(system, o);
    run();
  }
  ~scheduling() { stop(scheduler); }
  void pod(const std::string& name, const std::string& spec) { api.put("pods", make_pod(name, spec)); }
  std::string node_of(const std::string& name) {
    return std::string{jq::str(api.doc("pods", "default", name), {"spec", "nodeName"})};
  }
  std::vector<std::string> events(std::string_view reason) {
    std::vector<std::string> out;
    for (const auto& o : api.all("events")) {
      auto d = o->parse();
      if (jq::str(d, {"reason"}) == reason) out.emplace_back(jq::str(d, {"message"}));
    }
    return out;
  }
  caf::actor scheduler;
};

} // namespace

TEST_CASE("pods are bound as they appear and spread over the nodes") {
  scheduling s;
  for (const char* n : {"n1", "n2", "n3"})
    s.api.put("nodes", make_node(n));
  for (int i = 0; i < 9; ++i)
    s.pod("p" + std::to_string(i), requests("500m", "256Mi"));
  s.run();
  std::map<std::string, int> count;
  for (int i = 0; i < 9; ++i)
    ++count[s.node_of("p" + std::to_string(i))];
  CHECK(count["n1"] == 3);
  CHECK(count["n2"] == 3);
  CHECK(count["n3"] == 3);
  CHECK(s.events("Scheduled").size() == 9);
  CHECK(s.events("Scheduled").front() == "Successfully assigned default/p0 to " + s.node_of("p0"));
}

TEST_CASE("a pod that fits nowhere says why once and is bound when a node comes") {
  scheduling s;
  s.api.put("nodes", make_node("n1", "1"));
  s.pod("big", requests("3", "1Gi"));
  s.run();
  s.step(400s);
  auto d = s.api.doc("pods", "default", "big");
  const auto& c = jq::arr(d, {"status", "conditions"});
  REQUIRE(c.size() == 1);
  CHECK(jq::str(c[0], {"type"}) == "PodScheduled");
  CHECK(jq::str(c[0], {"status"}) == "False");
  CHECK(jq::str(c[0], {"reason"}) == "Unschedulable");
  CHECK(jq::str(c[0], {"message"}) ==
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
        "1 Preemption is not helpful for scheduling.");
  CHECK(s.events("FailedScheduling").size() == 1);
  s.api.put("nodes", make_node("n2", "4"));
  s.run();
  s.step(30s);
  CHECK(s.node_of("big") == "n2");
}

TEST_CASE("other schedulers' pods, gated pods and finished pods are left alone") {
  scheduling s;
  s.api.put("nodes", make_node("n1"));
  s.pod("other", R"({"schedulerName":"mine","containers":[{}]})");
  s.pod("gated", R"({"schedulingGates":[{"name":"g"}],"containers":[{}]})");
  s.run();
  CHECK(s.node_of("other").empty());
  CHECK(s.node_of("gated").empty());
  auto d = s.api.doc("pods", "default", "gated");
  jq::erase(d, {"spec", "schedulingGates"});
  s.api.put("pods", std::move(d));
  s.run();
  CHECK(s.node_of("gated") == "n1");
}

TEST_CASE("a failed binding gives its room back and is tried again") {
  scheduling s;
  s.api.put("nodes", make_node("n1", "1"));
  int failures = 3;
  s.api.fail = [&](const request& r) { return r.subresource == "binding" && failures-- > 0; };
  s.pod("p", requests("800m", "1Gi"));
  s.run();
  CHECK(s.node_of("p").empty());
  for (int i = 0; i < 20; ++i)
    s.step(1s);
  CHECK(s.node_of("p") == "n1");
}

TEST_CASE("a pod deleted while it waits frees nothing twice") {
  scheduling s;
  s.api.put("nodes", make_node("n1", "1"));
  s.pod("a", requests("800m", "1Gi"));
  s.run();
  s.pod("b", requests("800m", "1Gi"));
  s.run();
  CHECK(s.node_of("b").empty());
  s.api.erase("pods", "default", "a");
  s.run();
  s.step(5s);
  CHECK(s.node_of("b") == "n1");
}
