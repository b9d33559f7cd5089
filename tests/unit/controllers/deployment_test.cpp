#include "actors/controllers/deployment/deployment_controller.hpp"
#include "actors/controllers/deployment/deployment_facts.hpp"
#include "actors/controllers/deployment/template_hash.hpp"
#include "actors/controllers/replica_set/replica_set_controller.hpp"
#include "tests/unit/controllers/sim.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

struct cluster : sim {
  explicit cluster(std::uint64_t seed) : sim(seed) {
    add<ctl::deployment_controller>("deployment-controller");
    add<ctl::replica_set_controller>("replicaset-controller");
  }
  void set_image(const std::string& image) {
    auto d = api.doc("deployments.apps", "default", "web");
    d.at("spec").at("template").at("spec").at("containers").at(0).as_object()["image"] = image;
    jq::at(d, {"metadata", "generation"}) = meta::generation(d) + 1;
    api.put("deployments.apps", std::move(d));
  }
  void edit(std::string_view field, json::value v) {
    auto d = api.doc("deployments.apps", "default", "web");
    jq::at(d, {"spec", field}) = std::move(v);
    jq::at(d, {"metadata", "generation"}) = meta::generation(d) + 1;
    api.put("deployments.apps", std::move(d));
  }
  json::value deployment() const { return api.doc("deployments.apps", "default", "web"); }
  std::int64_t status(std::string_view field) const { return jq::num(deployment(), {"status", field}); }
  std::string condition(std::string_view type) const {
    auto d = deployment();
    for (const auto& c : jq::arr(d, {"status", "conditions"}))
      if (jq::str(c, {"type"}) == type)
        return std::string{jq::str(c, {"status"})} + " " + std::string{jq::str(c, {"reason"})};
    return {};
  }
  bool rolled_out(std::int64_t n) const {
    auto d = deployment();
    return status("observedGeneration") >= meta::generation(d) && status("updatedReplicas") == n &&
           status("replicas") == n && status("availableReplicas") == n;
  }
  std::size_t ready_pods() const {
    std::size_t n = 0;
    for (const auto& o : api.all("pods")) {
      auto d = o->parse();
      for (const auto& c : jq::arr(d, {"status", "conditions"}))
        if (jq::str(c, {"type"}) == "Ready" && jq::str(c, {"status"}) == "True" && !meta::deleting(d)) ++n;
    }
    return n;
  }
  std::size_t live_pods() const {
    auto pods = api.all("pods");
    return static_cast<std::size_t>(
        std::count_if(pods.begin(), pods.end(), [](const auto& o) { return !o->meta().deleting; }));
  }
};

} // namespace

TEST_CASE("a deployment makes one replica set and its pods, and says that it is available") {
  cluster c{1};
  c.start();
  c.api.put("deployments.apps", make_deployment("web", 3, "v1"));
  c.run_for(3s);
  auto sets = c.api.all("replicasets.apps");
  REQUIRE(sets.size() == 1);
  auto rs = sets[0]->parse();
  auto hash = ctl::template_hash(*jq::find(c.deployment(), {"spec", "template"}), {});
  CHECK(sets[0]->name == "web-" + hash);
  CHECK(meta::label(rs, "pod-template-hash") == hash);
  CHECK(jq::str(rs, {"spec", "selector", "matchLabels", "pod-template-hash"}) == hash);
  CHECK(meta::annotation(rs, "deployment.kubernetes.io/revision") == "1");
  CHECK(meta::annotation(rs, "deployment.kubernetes.io/desired-replicas") == "3");
  CHECK(meta::annotation(rs, "deployment.kubernetes.io/max-replicas") == "4");
  CHECK(meta::annotation(c.deployment(), "deployment.kubernetes.io/revision") == "1");
  CHECK(c.api.all("pods").size() == 3);
  CHECK(c.rolled_out(3));
  CHECK(c.condition("Available") == "True MinimumReplicasAvailable");
  CHECK(c.condition("Progressing") == "True NewReplicaSetAvailable");
  CHECK(c.refusals.empty());
  CHECK(std::count_if(c.notes.begin(), c.notes.end(), [](const auto& n) {
          return n.find("ScalingReplicaSet: Scaled up replica set web-") != std::string::npos;
        }) == 1);
  auto writes = c.api.writes;
  c.run_for(60s);
  CHECK(c.api.writes == writes); // a settled cluster writes nothing
}

TEST_CASE("fifty pods are created in a few batches that double") {
  cluster c{1};
  c.start();
  c.api.put("deployments.apps", make_deployment("web", 50, "v1"));
  std::size_t steps = 0;
  while (c.api.all("pods").size() < 50 && steps < 100)
    c.step(), ++steps;
  CHECK(steps <= 14);
}

TEST_CASE("a rollout keeps within surge and unavailability whatever the order of events") {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    CAPTURE(seed);
    cluster c{seed};
    c.start();
    auto n = static_cast<std::int64_t>(1 + c.rng.below(12));
    auto surge = static_cast<std::int64_t>(c.rng.below(4)), unavailable = static_cast<std::int64_t>(c.rng.below(4));
    if (surge + unavailable == 0) surge = 1;
    c.api.put("deployments.apps",
              make_deployment("web", n, "v1",
                              R"({"type":"RollingUpdate","rollingUpdate":{"maxSurge":)" + std::to_string(surge) +
                                  R"(,"maxUnavailable":)" + std::to_string(unavailable) + "}}"));
    c.run_for(10s);
    REQUIRE(c.rolled_out(n));
    c.chaos = true;
    bool watching = true;
    c.api.after_write = [&] {
      if (!watching) return;
      std::int64_t total = 0;
      for (const auto& o : c.api.all("replicasets.apps"))
        total += jq::num(o->parse(), {"spec", "replicas"});
      REQUIRE(total <= n + surge);
      REQUIRE(static_cast<std::int64_t>(c.ready_pods()) >= n - std::min(unavailable, n));
    };
    c.set_image("v2");
    if (seed % 3 == 0) c.run_for(300ms), c.set_image("v3"); // a rollout on top of a rollout
    auto end = c.api.now + 120s;
    while (!c.rolled_out(n) && c.api.now < end)
      c.step();
    watching = false;
    CHECK(c.rolled_out(n));
    c.chaos = false;
    c.run_for(5s);
    CHECK(c.rolled_out(n));
    CHECK(static_cast<std::int64_t>(c.live_pods()) == n);
  }
}

TEST_CASE("a rollout that never becomes ready stops at the surge and reports its deadline") {
  cluster c{3};
  c.start();
  auto d = make_deployment("web", 4, "v1");
  jq::at(d, {"spec", "progressDeadlineSeconds"}) = 30;
  c.api.put("deployments.apps", std::move(d));
  c.run_for(5s);
  c.broken = [](const json::value& p) {
    return jq::arr(p, {"spec", "containers"}).at(0).at("image").as_string() == "bad";
  };
  c.set_image("bad");
  c.run_for(20s);
  CHECK(c.ready_pods() == 3);
  CHECK(c.live_pods() == 5);
  CHECK(c.condition("Progressing") == "True ReplicaSetUpdated");
  c.run_for(40s);
  CHECK(c.condition("Progressing") == "False ProgressDeadlineExceeded");
  c.set_image("v1"); // undo: the old replica set becomes the newest revision
  c.run_for(10s);
  CHECK(c.rolled_out(4));
  CHECK(meta::annotation(c.deployment(), "deployment.kubernetes.io/revision") == "3");
  CHECK(c.api.all("replicasets.apps").size() == 2);
  CHECK(c.condition("Progressing") == "True NewReplicaSetAvailable");
}

TEST_CASE("recreate never runs two versions at once") {
  cluster c{4};
  c.start();
  c.chaos = true;
  c.api.put("deployments.apps", make_deployment("web", 3, "v1", R"({"type":"Recreate"})"));
  c.run_for(60s);
  REQUIRE(c.rolled_out(3));
  c.api.after_write = [&] {
    std::set<std::string> images;
    for (const auto& o : c.api.all("pods"))
      images.insert(std::string{jq::str(o->parse().at("spec").at("containers").at(0), {"image"})});
    REQUIRE(images.size() <= 1);
  };
  c.set_image("v2");
  c.run_for(60s);
  c.chaos = false;
  c.run_for(10s);
  CHECK(c.rolled_out(3));
}

TEST_CASE("a paused deployment scales but does not roll") {
  cluster c{5};
  c.start();
  c.api.put("deployments.apps", make_deployment("web", 2, "v1"));
  c.run_for(3s);
  c.edit("paused", true);
  c.set_image("v2");
  c.run_for(3s);
  CHECK(c.api.all("replicasets.apps").size() == 1);
  CHECK(c.condition("Progressing") == "Unknown DeploymentPaused");
  c.edit("replicas", 4);
  c.run_for(3s);
  CHECK(c.ready_pods() == 4);
  c.edit("paused", false);
  c.run_for(10s);
  CHECK(c.rolled_out(4));
  CHECK(c.api.all("replicasets.apps").size() == 2);
}

TEST_CASE("history beyond the limit is deleted, oldest revision first") {
  cluster c{6};
  c.start();
  c.api.put("deployments.apps", make_deployment("web", 1, "v1"));
  c.run_for(3s);
  for (const char* image : {"v2", "v3", "v4", "v5"}) {
    c.set_image(image);
    c.run_for(5s);
  }
  std::set<std::string> revisions;
  for (const auto& o : c.api.all("replicasets.apps"))
    revisions.emplace(meta::annotation(o->parse(), "deployment.kubernetes.io/revision"));
  CHECK(revisions == std::set<std::string>{"3", "4", "5"});
}

TEST_CASE("a replica set name taken by another is answered with a new hash") {
  cluster c{7};
  c.start();
  auto d = make_deployment("web", 1, "v1");
  auto hash = ctl::template_hash(*jq::find(d, {"spec", "template"}), {});
  c.api.put("replicasets.apps",
            R"({"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"web-)" + hash +
                R"(","namespace":"default"},"spec":{"replicas":0,"selector":{"matchLabels":{"x":"y"}}}})");
  c.api.put("deployments.apps", std::move(d));
  c.run_for(5s);
  CHECK(c.status("collisionCount") == 1);
  CHECK(c.rolled_out(1));
}

TEST_CASE("template hashes ignore key order and the hash label") {
  auto a = json::parse(R"({"metadata":{"labels":{"a":"1","pod-template-hash":"x"}},"spec":{"b":[1,2],"c":null}})");
  auto b = json::parse(R"({"spec":{"b":[1,2]},"metadata":{"labels":{"a":"1"}}})");
  CHECK(ctl::same_template(a, b));
  CHECK(ctl::template_hash(a, {}) == ctl::template_hash(b, {}));
  CHECK(ctl::template_hash(a, 1) != ctl::template_hash(a, {}));
}

TEST_CASE("percentages resolve as surge up and unavailable down, and never both to zero") {
  auto f = ctl::deploy::read_facts(make_deployment("web", 3, "v1"));
  CHECK(f.max_surge == 1);
  CHECK(f.max_unavailable == 0);
  f = ctl::deploy::read_facts(make_deployment(
      "web", 3, "v1", R"({"type":"RollingUpdate","rollingUpdate":{"maxSurge":0,"maxUnavailable":"10%"}})"));
  CHECK(f.max_surge == 0);
  CHECK(f.max_unavailable == 1);
}
