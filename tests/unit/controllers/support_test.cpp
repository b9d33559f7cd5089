#include "actors/controllers/controllers.hpp"
#include "actors/support/event_memory.hpp"
#include "actors/support/limits.hpp"
#include "actors/support/work_queue.hpp"
#include "api/meta/object_meta.hpp"
#include "tests/support/actor_lab.hpp"
#include "tests/unit/controllers/sim.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {
constexpr sys_micros t0{1000s};
const json::value about = json::parse(
    R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"a","uid":"u","resourceVersion":"7"}})");
} // namespace

TEST_CASE("a key is queued once, and once more when it changes while it is worked on") {
  work_queue q{20ms, 1s};
  q.add("a");
  q.add("a");
  q.add("b");
  CHECK(q.take() == "a");
  q.add("a");
  q.add("a");
  CHECK(q.take() == "b");
  CHECK_FALSE(q.take());
  q.done("b");
  q.done("a");
  CHECK(q.take() == "a");
  q.done("a");
  CHECK(q.size() == 0);
}

TEST_CASE("failures back off twice as long each time, success starts over") {
  work_queue q{20ms, 100ms};
  q.add("a");
  auto now = t0;
  for (auto wait : {20ms, 40ms, 80ms, 100ms, 100ms}) {
    auto k = q.take();
    REQUIRE(k);
    q.failed(*k, now);
    CHECK(q.flush(now) == now + wait);
    now += wait;
    CHECK_FALSE(q.flush(now));
  }
  q.done(*q.take());
  q.add("a");
  q.failed(*q.take(), now);
  CHECK(q.flush(now) == now + 20ms);
}

TEST_CASE("the earliest time of a key wins") {
  work_queue q{20ms, 1s};
  q.add_at("a", t0 + 5s);
  q.add_at("a", t0 + 2s);
  q.add_at("a", t0 + 9s);
  CHECK(q.flush(t0) == t0 + 2s);
  q.flush(t0 + 2s);
  CHECK(q.take() == "a");
}

TEST_CASE("repeats of an event become its count, one write at a time") {
  event_memory m{"tester", "host"};
  auto first = m.note(about, "Warning", "Bad", "it broke", "", t0);
  REQUIRE(first);
  CHECK(first->what == event_write::kind::create);
  CHECK(first->ns == "a");
  CHECK(first->name.starts_with("p."));
  CHECK(jq::str(first->doc, {"involvedObject", "uid"}) == "u");
  CHECK(jq::num(first->doc, {"count"}) == 1);
  CHECK_FALSE(m.note(about, "Warning", "Bad", "it broke", "", t0 + 1s)); // the first is still on its way
  CHECK_FALSE(m.note(about, "Warning", "Bad", "it broke", "", t0 + 2s));
  auto next = m.done(first->key, true, false);
  REQUIRE(next);
  CHECK(next->what == event_write::kind::bump);
  CHECK(next->name == first->name);
  CHECK(jq::num(next->doc, {"count"}) == 3);
  CHECK_FALSE(m.done(next->key, true, false));
  auto other = m.note(about, "Warning", "Bad", "something else", "", t0 + 3s);
  REQUIRE(other);
  CHECK(other->what == event_write::kind::create);
  CHECK(other->name != first->name);
}

TEST_CASE("an event that expired meanwhile is written anew") {
  event_memory m{"tester", ""};
  auto first = m.note(about, "Normal", "Fine", "ok", "", t0);
  m.done(first->key, true, false);
  auto bump = m.note(about, "Normal", "Fine", "ok", "", t0 + 1s);
  REQUIRE(bump);
  auto again = m.done(bump->key, false, true);
  REQUIRE(again);
  CHECK(again->what == event_write::kind::create);
  CHECK(again->name != first->name);
}

TEST_CASE("one object cannot flood the events, and memory is bounded") {
  event_memory m{"tester", ""};
  int written = 0;
  for (int i = 0; i < 100; ++i)
    written += m.note(about, "Normal", "R", std::to_string(i), "", t0).has_value();
  CHECK(written == limits::events_burst);
  auto d = about;
  for (int i = 0; i < 5000; ++i) {
    jq::at(d, {"metadata", "uid"}) = std::to_string(i);
    m.note(d, "Normal", "R", "x", "", t0);
  }
  CHECK(m.size() == limits::recorded_events_max);
}

TEST_CASE("the controllers actor scales a deployment, publishes endpoints and stops on an exit message") {
  actor_lab lab;
  lab.api.put("namespaces", R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"default"}})");
  controller_options o;
  o.env = lab.env("system:kube-controller-manager");
  o.ca_pem = "PEM";
  auto controllers = spawn_controllers(lab.system, o);
  lab.run();
  lab.api.put("services", R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"default"},
    "spec":{"selector":{"app":"web"},"ports":[{"port":80}]}})");
  lab.api.put("deployments.apps", make_deployment("web", 50, "v1"));
  lab.run();
  CHECK(lab.api.all("pods").size() == 50); // no time passed: nothing polls
  CHECK(lab.api.all("endpoints").size() == 1);
  CHECK(lab.api.get("serviceaccounts", "default", "default") != nullptr);
  std::set<std::string> reasons;
  for (const auto& e : lab.api.all("events"))
    reasons.emplace(jq::str(e->parse(), {"reason"}));
  CHECK(reasons == std::set<std::string>{"ScalingReplicaSet", "SuccessfulCreate"});
  auto d = lab.api.doc("deployments.apps", "default", "web");
  jq::at(d, {"spec", "replicas"}) = 2;
  lab.api.put("deployments.apps", std::move(d));
  lab.run();
  CHECK(lab.api.all("pods").size() == 2);
  lab.api.fail = [](const request& r) { return r.plural == "pods"; };
  lab.api.erase("pods", "default", lab.api.all("pods").front()->name);
  lab.step(1s);
  CHECK(lab.api.all("pods").size() == 1);
  auto rs = lab.api.all("replicasets.apps").front()->parse();
  CHECK(jq::str(rs.at("status").at("conditions").at(0), {"reason"}) == "FailedCreate");
  lab.api.fail = {};
  lab.step(60s);
  CHECK(lab.api.all("pods").size() == 2);
  rs = lab.api.all("replicasets.apps").front()->parse();
  CHECK(jq::arr(rs, {"status", "conditions"}).empty());
  lab.stop(controllers);
}
