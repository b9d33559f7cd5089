#include "actors/kubelet/probe/probe_core.hpp"

#include "actors/kubelet/limits.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::kubelet;
using namespace std::chrono_literals;

namespace {
const wall_time t0{std::chrono::seconds{1'800'000'000}};

struct lab {
  json::value doc;
  probe_core core;
  wall_time now = t0;
  explicit lab(const char* text) : doc(json::parse(text)) {
    core.add("u", 0, 0, doc, false, false, t0 - limits::probe_first_pause, t0);
  }
  /// Runs what is due with this answer; the verdict of the last one.
  std::optional<probe_core::verdict> answer(bool ok) {
    std::optional<probe_core::verdict> last;
    for (const auto& d : core.due(now))
      last = core.on_result(d.key, {ok, false, "m"}, now);
    return last;
  }
};
} // namespace

TEST_CASE("a liveness probe waits its delay, then fails after its threshold, again and again") {
  lab l{
      R"({"livenessProbe":{"tcpSocket":{"port":80},"initialDelaySeconds":5,"periodSeconds":2,"failureThreshold":3}})"};
  CHECK(l.core.next() == t0 + 5s);
  CHECK(l.core.due(t0 + 4s).empty());
  l.now = t0 + 5s;
  auto v = l.answer(false);
  CHECK(v->failed_now);
  CHECK_FALSE(v->turned);
  CHECK(l.core.next() == t0 + 7s);
  l.now += 2s;
  CHECK_FALSE(l.answer(false)->turned);
  l.now += 2s;
  CHECK(l.answer(false)->turned == std::optional{false});
}

TEST_CASE("one success in between starts the count anew") {
  lab l{R"({"livenessProbe":{"tcpSocket":{"port":80},"periodSeconds":1,"failureThreshold":2}})"};
  for (bool ok : {false, true, false}) {
    CHECK_FALSE(l.answer(ok)->turned);
    l.now += 1s;
  }
  CHECK(l.answer(false)->turned == std::optional{false});
}

TEST_CASE("readiness turns on its success threshold and only tells changes") {
  lab l{R"({"readinessProbe":{"tcpSocket":{"port":80},"periodSeconds":1,"successThreshold":2,"failureThreshold":1}})"};
  CHECK_FALSE(l.answer(false)->turned);
  l.now += 1s;
  CHECK_FALSE(l.answer(true)->turned);
  l.now += 1s;
  CHECK(l.answer(true)->turned == std::optional{true});
  l.now += 1s;
  CHECK_FALSE(l.answer(true)->turned);
  l.now += 1s;
  CHECK(l.answer(false)->turned == std::optional{false});
}

TEST_CASE("liveness and readiness wait until startup has passed") {
  lab l{R"({"startupProbe":{"exec":{"command":["x"]},"periodSeconds":1},"livenessProbe":{"tcpSocket":{"port":1}},
            "readinessProbe":{"tcpSocket":{"port":1}}})"};
  auto due = l.core.due(t0);
  REQUIRE(due.size() == 1);
  CHECK(due[0].key.kind == probe_kind::startup);
  auto v = l.core.on_result(due[0].key, {true, false, ""}, t0);
  CHECK(v->turned == std::optional{true});
  CHECK(l.core.due(t0).size() == 2);
}

TEST_CASE("results of probes that were dropped or could not run count neither way") {
  lab l{R"({"livenessProbe":{"tcpSocket":{"port":1},"failureThreshold":1}})"};
  auto due = l.core.due(t0);
  CHECK_FALSE(l.core.on_result(due[0].key, {false, true, ""}, t0));
  l.core.remove("u", 0);
  CHECK_FALSE(l.core.on_result(due[0].key, {false, false, ""}, t0));
  CHECK(l.core.size() == 0);
}

TEST_CASE("probes are read with the API's defaults and named ports") {
  auto c = json::parse(R"({"ports":[{"name":"http","containerPort":8080}],
    "readinessProbe":{"httpGet":{"port":"http","path":"/z","scheme":"HTTPS","httpHeaders":[{"name":"X","value":"1"}]}}})");
  auto p = read_probe(c, probe_kind::readiness);
  REQUIRE(p);
  CHECK(p->what == probe_spec::how::http);
  CHECK(p->port == 8080);
  CHECK(p->scheme == "HTTPS");
  CHECK(p->path == "/z");
  CHECK(p->headers.size() == 1);
  CHECK(p->period == 10s);
  CHECK(p->timeout == 1s);
  CHECK(p->failure_threshold == 3);
  CHECK_FALSE(read_probe(c, probe_kind::liveness));
}
