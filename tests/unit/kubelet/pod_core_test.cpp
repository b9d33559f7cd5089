#include "pod_lab.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::kubelet;
using namespace troupe::kubelet::test;
using namespace std::chrono_literals;

namespace {
const std::string one = R"("containers":[{"name":"a","image":"img"}])";
const std::string two = R"("containers":[{"name":"a","image":"img"},{"name":"b","image":"img"}])";
using lines = std::vector<std::string>;
} // namespace

TEST_CASE("a pod with one container comes up and is ready") {
  pod_lab l{pod_text(one)};
  l.begin();
  CHECK(l.status({"phase"}) == "Pending");
  l.run();
  auto s = l.whole_status();
  CHECK(jq::str(s, {"phase"}) == "Running");
  CHECK(jq::str(s, {"podIP"}) == "10.244.0.7");
  CHECK(jq::str(s, {"qosClass"}) == "BestEffort");
  const auto& c = jq::arr(s, {"containerStatuses"})[0];
  CHECK(jq::flag(c, {"ready"}));
  CHECK(jq::flag(c, {"started"}));
  CHECK(jq::num(c, {"restartCount"}) == 0);
  CHECK(jq::str(c, {"imageID"}) == "sha256:1");
  CHECK(jq::str(c, {"containerID"}).starts_with("troupe://"));
  CHECK(jq::find(c, {"state", "running", "startedAt"}));
  for (const auto& x : jq::arr(s, {"conditions"}))
    CHECK(jq::str(x, {"status"}) == "True");
  CHECK(l.said("Pulled: Container image \"img\" already present on machine"));
  CHECK(l.said("Started: Started container a"));
}

TEST_CASE("containers start one after another in the order of the spec") {
  pod_lab l{pod_text(two)};
  l.begin();
  l.run();
  CHECK(l.log == lines{"start a 0", "start b 0"});
}

TEST_CASE("init containers run to their end before apps start") {
  pod_lab l{pod_text(R"("initContainers":[{"name":"i1","image":"x"},{"name":"i2","image":"x"}],)" + one)};
  l.begin();
  l.run();
  CHECK(l.take_log() == lines{"start i1 0"});
  CHECK(l.status({"phase"}) == "Pending");
  auto s = l.whole_status();
  CHECK(jq::str(jq::arr(s, {"containerStatuses"})[0], {"state", "waiting", "reason"}) == "PodInitializing");
  l.exit(0, 0);
  CHECK(l.take_log() == lines{"start i2 0"});
  l.exit(1, 0);
  CHECK(l.take_log() == lines{"start a 0"});
  CHECK(l.status({"phase"}) == "Running");
}

TEST_CASE("a failing init container is started again with back-off, or fails the pod when nothing restarts") {
  pod_lab l{pod_text(R"("initContainers":[{"name":"i","image":"x"}],)" + one)};
  l.begin();
  l.run();
  l.exit(0, 1);
  CHECK(l.take_log() == lines{"start i 0", "start i 1"});
  l.exit(0, 1);
  CHECK(l.take_log() == lines{});
  l.pass(10s);
  CHECK(l.take_log() == lines{"start i 2"});

  pod_lab n{pod_text(R"("restartPolicy":"Never","initContainers":[{"name":"i","image":"x"}],)" + one)};
  n.begin();
  n.run();
  n.exit(0, 1);
  CHECK(n.status({"phase"}) == "Failed");
  CHECK(n.take_log() == lines{"start i 0", "remove sandbox"});
}

TEST_CASE("a sidecar is up before the apps, outlives them and is restarted") {
  pod_lab l{pod_text(
      R"("restartPolicy":"Never","initContainers":[{"name":"s","image":"x","restartPolicy":"Always"}],)" + one)};
  l.begin();
  l.run();
  CHECK(l.take_log() == lines{"start s 0", "start a 0"});
  l.exit(0, 1);
  CHECK(l.take_log() == lines{"start s 1"});
  l.exit(1, 0);
  CHECK(l.take_log() == lines{"SIGTERM s", "remove sandbox"});
  CHECK(l.status({"phase"}) == "Succeeded");
}

TEST_CASE("a crashing container waits 10, 20, 40 seconds, up to five minutes") {
  pod_lab l{pod_text(one)};
  l.begin();
  l.run();
  l.exit(0, 1); // the first restart is immediate
  CHECK(l.take_log() == lines{"start a 0", "start a 1"});
  int attempt = 2;
  for (auto wait : {10s, 20s, 40s, 80s, 160s, 300s, 300s}) {
    l.exit(0, 1);
    auto s = l.whole_status();
    const auto& c = jq::arr(s, {"containerStatuses"})[0];
    CHECK(jq::str(c, {"state", "waiting", "reason"}) == "CrashLoopBackOff");
    CHECK(jq::num(c, {"lastState", "terminated", "exitCode"}) == 1);
    l.pass(wait - 1ms);
    CHECK(l.take_log() == lines{});
    l.pass(2ms);
    CHECK(l.take_log() == lines{"start a " + std::to_string(attempt++)});
  }
  CHECK(l.said("BackOff: Back-off restarting failed container a in pod web_default(u1)"));
  CHECK(jq::num(jq::arr(l.whole_status(), {"containerStatuses"})[0], {"restartCount"}) == attempt - 1);
  l.pass(601s); // a long good life forgets the past
  l.exit(0, 1);
  CHECK(l.take_log() == lines{"start a " + std::to_string(attempt)});
}

TEST_CASE("restart policies decide what an exit means") {
  struct row {
    std::string policy;
    int code;
    bool again;
    std::string phase;
  };
  for (const auto& r :
       {row{"Always", 0, true, "Running"}, row{"Always", 1, true, "Running"}, row{"OnFailure", 0, false, "Succeeded"},
        row{"OnFailure", 1, true, "Running"}, row{"Never", 0, false, "Succeeded"}, row{"Never", 1, false, "Failed"}}) {
    CAPTURE(r.policy);
    CAPTURE(r.code);
    pod_lab l{pod_text("\"restartPolicy\":\"" + r.policy + "\"," + one)};
    l.begin();
    l.run();
    l.exit(0, r.code);
    CHECK((l.running.size() == 1) == r.again);
    CHECK(l.status({"phase"}) == r.phase);
  }
}

TEST_CASE("an image that cannot be pulled turns to ImagePullBackOff and is tried again") {
  pod_lab l{pod_text(R"("containers":[{"name":"a","image":"img","imagePullPolicy":"Always"}])")};
  int pulls = 0;
  l.intercept = [&](const effect& e) {
    if (e.what != effect_kind::pull_image) return false;
    ++pulls;
    l.take(l.core.on_image_pulled(0, std::nullopt, "no route", 1s, l.now));
    return true;
  };
  l.begin();
  l.run();
  auto reason = [&] {
    auto s = l.whole_status();
    return std::string{jq::str(jq::arr(s, {"containerStatuses"})[0], {"state", "waiting", "reason"})};
  };
  CHECK(reason() == "ErrImagePull");
  CHECK(l.said("Failed: Failed to pull image \"img\": no route"));
  l.pass(3s);
  CHECK(reason() == "ImagePullBackOff");
  CHECK(l.said("Back-off pulling image \"img\""));
  CHECK(pulls == 1);
  l.pass(8s);
  CHECK(pulls == 2);
  l.intercept = [](const effect&) { return false; };
  l.pass(30s);
  CHECK(l.status({"phase"}) == "Running");
  CHECK(l.said("Pulling: Pulling image \"img\""));
}

TEST_CASE("an absent image under policy Never is said to be so") {
  pod_lab l{pod_text(R"("containers":[{"name":"a","image":"img","imagePullPolicy":"Never"}])")};
  l.intercept = [&](const effect& e) {
    if (e.what != effect_kind::find_image) return false;
    l.take(l.core.on_image_found(0, std::nullopt, l.now));
    return true;
  };
  l.begin();
  l.run();
  auto s = l.whole_status();
  CHECK(jq::str(jq::arr(s, {"containerStatuses"})[0], {"state", "waiting", "reason"}) == "ErrImageNeverPull");
  CHECK(l.said("is not present with pull policy of Never"));
}

TEST_CASE("deleting sends the stop signal, kills after the grace and then removes the object") {
  pod_lab l{pod_text(one)};
  l.obey_term = false;
  l.begin();
  l.run();
  l.take_log();
  l.remove(30);
  l.run();
  CHECK(l.take_log() == lines{"SIGTERM a"});
  CHECK(l.said("Killing: Stopping container a"));
  l.pass(29s);
  CHECK(l.take_log() == lines{});
  l.pass(2s);
  CHECK(l.take_log() == lines{"SIGKILL a", "remove sandbox", "delete object"});
  CHECK(l.finished);
}

TEST_CASE("a shorter grace later hastens the end") {
  pod_lab l{pod_text(one)};
  l.obey_term = false;
  l.begin();
  l.run();
  l.remove(300);
  l.pass(1s);
  l.remove(0);
  l.run();
  CHECK(l.finished);
}

TEST_CASE("preStop runs before the signal and the image names the signal") {
  pod_lab l{pod_text(
      R"("containers":[{"name":"a","image":"i","lifecycle":{"preStop":{"exec":{"command":["x"]}},"postStart":{"exec":{"command":["y"]}}}}])")};
  l.intercept = [&](const effect& e) {
    if (e.what != effect_kind::find_image) return false;
    l.take(l.core.on_image_found(0, image_found{"id", "SIGQUIT", 1}, l.now));
    return true;
  };
  l.begin();
  l.run();
  CHECK(l.take_log() == lines{"start a 0", "postStart a"});
  l.remove(30);
  l.run();
  CHECK(l.take_log() == lines{"preStop a", "SIGQUIT a", "remove sandbox", "delete object"});
}

TEST_CASE("a preStop hook that uses up the grace leaves two seconds to the signal") {
  pod_lab l{pod_text(R"("containers":[{"name":"a","image":"i","lifecycle":{"preStop":{"sleep":{"seconds":9}}}}])")};
  l.obey_term = false;
  l.begin();
  l.run();
  l.intercept = [](const effect& e) { return e.what == effect_kind::pre_stop; };
  l.remove(10);
  l.pass(9s);
  l.take(l.core.on_pre_stop(0, 0, std::nullopt, l.now));
  l.run();
  CHECK(l.take_log() == lines{"start a 0", "SIGTERM a"});
  l.pass(1900ms);
  CHECK(l.take_log() == lines{});
  l.pass(200ms);
  CHECK(l.take_log().front() == "SIGKILL a");
}

TEST_CASE("activeDeadlineSeconds ends the pod as Failed and keeps its object") {
  pod_lab l{pod_text(R"("activeDeadlineSeconds":60,)" + one)};
  l.begin();
  l.pass(59s);
  CHECK(l.status({"phase"}) == "Running");
  l.pass(2s);
  CHECK(l.status({"phase"}) == "Failed");
  CHECK(l.status({"reason"}) == "DeadlineExceeded");
  CHECK(l.log == lines{"start a 0", "SIGTERM a", "remove sandbox"});
  CHECK_FALSE(l.finished);
}

TEST_CASE("a failed liveness probe restarts the container") {
  pod_lab l{pod_text(R"("containers":[{"name":"a","image":"i","livenessProbe":{"tcpSocket":{"port":1}}}])")};
  l.begin();
  l.run();
  l.take(l.core.on_probe(0, 0, probe_kind::liveness, false, l.now));
  l.run();
  CHECK(l.log == lines{"start a 0", "SIGTERM a", "start a 1"});
  CHECK(l.said("Killing: Container a failed liveness probe, will be restarted"));
}

TEST_CASE("readiness and startup decide when a container counts") {
  pod_lab l{pod_text(
      R"("containers":[{"name":"a","image":"i","startupProbe":{"tcpSocket":{"port":1}},"readinessProbe":{"tcpSocket":{"port":1}}}])")};
  l.begin();
  l.run();
  auto c = [&](std::string_view key) { return jq::flag(jq::arr(l.whole_status(), {"containerStatuses"})[0], {key}); };
  CHECK_FALSE(c("started"));
  CHECK_FALSE(c("ready"));
  l.take(l.core.on_probe(0, 0, probe_kind::startup, true, l.now));
  CHECK(c("started"));
  CHECK_FALSE(c("ready"));
  l.take(l.core.on_probe(0, 0, probe_kind::readiness, true, l.now));
  CHECK(c("ready"));
  l.take(l.core.on_probe(0, 0, probe_kind::readiness, false, l.now));
  CHECK_FALSE(c("ready"));
  auto s = l.whole_status();
  for (const auto& x : jq::arr(s, {"conditions"}))
    if (jq::str(x, {"type"}) == "ContainersReady")
      CHECK(jq::str(x, {"message"}) == "containers with unready status: [a]");
}

TEST_CASE("readiness gates hold the pod back") {
  pod_lab l{pod_text(R"("readinessGates":[{"conditionType":"x/y"}],)" + one)};
  l.begin();
  l.run();
  auto s = l.whole_status();
  for (const auto& x : jq::arr(s, {"conditions"}))
    if (jq::str(x, {"type"}) == "Ready") {
      CHECK(jq::str(x, {"status"}) == "False");
      CHECK(jq::str(x, {"reason"}) == "ReadinessGatesNotReady");
      CHECK(jq::str(x, {"message"}) == "corresponding condition of pod readiness gate \"x/y\" does not exist.");
    }
}

TEST_CASE("failed volumes and sandboxes are told and tried again") {
  pod_lab l{pod_text(one)};
  int volumes = 0, sandboxes = 0;
  l.intercept = [&](const effect& e) {
    if (e.what == effect_kind::prepare_volumes && ++volumes < 3) {
      l.take(l.core.on_volumes("MountVolume.SetUp failed for volume \"v\" : gone", l.now));
      return true;
    }
    if (e.what == effect_kind::create_sandbox && ++sandboxes < 2) {
      l.take(l.core.on_sandbox(false, "no bridge", l.now));
      return true;
    }
    return false;
  };
  l.begin();
  l.run();
  CHECK(l.status({"phase"}) == "Pending");
  CHECK(l.said("FailedMount: MountVolume.SetUp failed for volume \"v\" : gone"));
  CHECK(l.said("FailedCreatePodSandBox: Failed to create pod sandbox: no bridge"));
  l.pass(10s);
  CHECK(l.status({"phase"}) == "Running");
}

TEST_CASE("a container that cannot be created waits with its reason; one that cannot be started ends with 128") {
  pod_lab l{pod_text(one)};
  int tries = 0;
  l.intercept = [&](const effect& e) {
    if (e.what != effect_kind::start_container) return false;
    auto why = ++tries == 1 ? start_failure::config : start_failure::start;
    if (tries < 3) l.take(l.core.on_start_failed(0, e.attempt, why, "configmap \"c\" not found", l.now));
    return tries < 3;
  };
  l.begin();
  l.run();
  auto c = [&] { return json::value(jq::arr(l.whole_status(), {"containerStatuses"})[0]); };
  CHECK(jq::str(c(), {"state", "waiting", "reason"}) == "CreateContainerConfigError");
  CHECK(jq::num(c(), {"restartCount"}) == 0);
  l.pass(1001ms);
  CHECK(tries == 3);
  CHECK(jq::num(c(), {"restartCount"}) == 1);
  CHECK(jq::num(c(), {"lastState", "terminated", "exitCode"}) == 128);
  CHECK(jq::str(c(), {"lastState", "terminated", "reason"}) == "StartError");
}

TEST_CASE("adopted containers are not restarted and exits that happened meanwhile are seen") {
  adopted_pod found{true, "10.244.0.3", {}};
  found.containers.push_back({"a", 2, true, "sha256:1", "SIGINT", start_of_time() - 1h, {}});
  found.containers.push_back({"b", 0, false, "sha256:1", "", {}, {3, "Error", "", {}, start_of_time() - 1min, ""}});
  pod_lab l{pod_text(two), found};
  l.running = {0};
  l.begin();
  l.run();
  CHECK(l.log == lines{"start b 1"});
  auto s = l.whole_status();
  CHECK(jq::str(s, {"podIP"}) == "10.244.0.3");
  CHECK(jq::num(jq::arr(s, {"containerStatuses"})[0], {"restartCount"}) == 2);
  l.take_log();
  l.remove(30);
  l.run();
  CHECK(l.log == lines{"SIGINT a", "SIGTERM b", "remove sandbox", "delete object"});
}

TEST_CASE("a pod that ended before our restart stays as the API has it") {
  pod_lab l{pod_text(R"("restartPolicy":"Never",)" + one, "", R"({"phase":"Succeeded"})")};
  l.begin();
  l.run();
  CHECK(l.log == lines{"remove sandbox"});
  CHECK(l.status({"phase"}) == "Succeeded");
  CHECK(l.core.was_terminal());
}

TEST_CASE("after a reboot the restart count of the API goes on") {
  pod_lab l{pod_text(one, "",
                     R"({"phase":"Running","containerStatuses":[{"name":"a","restartCount":4,"containerID":"troupe://x",
      "state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]})")};
  l.begin();
  l.run();
  CHECK(l.log == lines{"start a 5"});
}

TEST_CASE("an object that vanished takes its containers along, without another delete") {
  pod_lab l{pod_text(one)};
  l.begin();
  l.run();
  l.take_log();
  l.take(l.core.on_gone(l.now));
  l.run();
  CHECK(l.log == lines{"SIGTERM a", "remove sandbox"});
  CHECK(l.finished);
}

TEST_CASE("a new image restarts the container") {
  pod_lab l{pod_text(one)};
  l.begin();
  l.run();
  l.take_log();
  auto doc = json::parse(l.text_);
  doc.at_pointer("/spec/containers/0/image") = "img:2";
  l.take(l.core.on_pod(read_pod(std::make_shared<const json::value>(doc)), l.now));
  l.run();
  CHECK(l.log == lines{"SIGTERM a", "start a 1"});
  CHECK(l.said("Container a definition changed, will be restarted"));
}

TEST_CASE("a status that did not change makes no patch, a changed one names the uid") {
  pod_lab l{pod_text(one)};
  l.begin();
  auto before = l.whole_status();
  CHECK(status_patch(before, build_status(l.core, before, "10.0.0.9", l.now + 5s), "u1").is_null());
  l.run();
  auto patch = status_patch(before, build_status(l.core, before, "10.0.0.9", l.now), "u1");
  CHECK(jq::str(patch, {"metadata", "uid"}) == "u1");
  CHECK(jq::str(patch, {"status", "phase"}) == "Running");
  CHECK_FALSE(jq::find(patch, {"status", "message"})); // nothing to clear
  CHECK(jq::find(l.whole_status(), {"message"})->is_null());
}

TEST_CASE("quality of service follows requests and limits") {
  auto q = [](const std::string& r) {
    return qos_class(json::parse(pod_text(R"("containers":[{"name":"a","resources":)" + r + "}]")));
  };
  CHECK(q("{}") == "BestEffort");
  CHECK(q(R"({"requests":{"cpu":"1"}})") == "Burstable");
  CHECK(q(R"({"limits":{"cpu":"1","memory":"1Gi"}})") == "Guaranteed");
  CHECK(q(R"({"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"1000m","memory":"1024Mi"}})") == "Guaranteed");
  CHECK(q(R"({"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m"}})") == "Burstable");
}
