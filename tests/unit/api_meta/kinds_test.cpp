#include "tests/unit/api_meta/fixture.hpp"

#include "api/meta/object_meta.hpp"

#include <chrono>

using namespace troupe;
using test::created;
using test::yaml;

namespace {
constexpr const char* pod_text =
    "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: i}]}}";
constexpr const char* deployment_text =
    "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {replicas: 2, selector: {matchLabels: {a: b}}, "
    "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}";
} // namespace

TEST_CASE("a created object gets uid and time, and loses what only the server sets") {
  auto doc = yaml(deployment_text);
  jq::at(doc, {"metadata", "uid"}) = "mine";
  jq::at(doc, {"metadata", "generation"}) = 9;
  jq::at(doc, {"metadata", "deletionTimestamp"}) = "2020-01-01T00:00:00Z";
  jq::at(doc, {"status", "replicas"}) = 5;
  const auto d = created(doc);
  CHECK(meta::uid(d).size() == 36);
  CHECK(jq::str(d, {"metadata", "creationTimestamp"}) == "2026-11-23T12:00:00Z");
  CHECK(meta::generation(d) == 1);
  CHECK_FALSE(meta::deleting(d));
  CHECK(jq::obj(d, {"status"}).empty());
  CHECK(created(doc) == d);
}

TEST_CASE("resourceVersion on create is refused as real servers do") {
  auto doc = yaml(pod_text);
  jq::at(doc, {"metadata", "resourceVersion"}) = "5";
  test::normalize(doc);
  random_source random{1};
  kinds::write_context ctx;
  ctx.random = &random;
  const auto r = kinds::prepare_create(test::resource("pods"), doc, ctx);
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().code == 500);
  CHECK(r.error().message == "resourceVersion should not be set on objects to be created");
}

TEST_CASE("generateName makes a name, and a given name wins") {
  CHECK(meta::name(created("{apiVersion: v1, kind: ConfigMap, metadata: {generateName: c-}}")).size() == 7);
  CHECK(meta::name(created("{apiVersion: v1, kind: ConfigMap, metadata: {generateName: c-, name: x}}")) == "x");
}

TEST_CASE("a pod starts Pending with its quality of service") {
  const auto pod = created(pod_text);
  CHECK(jq::str(pod, {"status", "phase"}) == "Pending");
  CHECK(jq::str(pod, {"status", "qosClass"}) == "BestEffort");
  const auto qos = [](std::string_view resources) {
    auto p = yaml(pod_text);
    jq::arr(p, {"spec", "containers"});
    jq::at(p, {"spec"}).as_object()["containers"].as_array()[0].as_object()["resources"] = yaml(resources);
    return std::string{jq::str(created(p), {"status", "qosClass"})};
  };
  CHECK(qos("{limits: {cpu: 1, memory: 1Gi}}") == "Guaranteed");
  CHECK(qos("{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}") == "Burstable");
  CHECK(qos("{requests: {cpu: 500m}}") == "Burstable");
  CHECK(qos("{limits: {memory: 1024Mi, cpu: 1000m}, requests: {memory: 1Gi, cpu: 1}}") == "Guaranteed");
}

TEST_CASE("a job selects by its uid") {
  const auto job =
      created("{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {template: {spec: {restartPolicy: "
              "Never, containers: [{name: c, image: i}]}}}}");
  const auto uid = meta::uid(job);
  CHECK(jq::str(job, {"spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid"}) == uid);
  for (auto key : {"batch.kubernetes.io/controller-uid", "controller-uid"})
    CHECK(jq::str(job, {"spec", "template", "metadata", "labels", key}) == uid);
  for (auto key : {"batch.kubernetes.io/job-name", "job-name"})
    CHECK(jq::str(job, {"spec", "template", "metadata", "labels", key}) == "j");
  CHECK(test::message_of(job, test::create_faults(job)) == "ok");
}

TEST_CASE("stringData of a secret lands in data and is not read back") {
  const auto s =
      created("{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {a: eA==, b: eQ==}, stringData: {a: hi}}");
  CHECK(jq::str(s, {"data", "a"}) == "aGk=");
  CHECK(jq::str(s, {"data", "b"}) == "eQ==");
  CHECK(jq::find(s, {"stringData"}) == nullptr);
}

TEST_CASE("a namespace holds on to itself") {
  const auto n = created("{apiVersion: v1, kind: Namespace, metadata: {name: nn}}");
  CHECK(jq::arr(n, {"spec", "finalizers"}) == json::array{"kubernetes"});
  CHECK(jq::str(n, {"status", "phase"}) == "Active");
  CHECK(jq::str(n, {"metadata", "labels", "kubernetes.io/metadata.name"}) == "nn");
}

TEST_CASE("an update keeps what it may not change and counts the generation of spec only") {
  auto old = created(deployment_text);
  jq::at(old, {"metadata", "resourceVersion"}) = "7";
  jq::at(old, {"status", "replicas"}) = 2;
  auto same = old;
  jq::at(same, {"metadata", "labels", "x"}) = "y";
  jq::at(same, {"status", "replicas"}) = 99;
  REQUIRE(test::update(same, old).has_value());
  CHECK(meta::generation(same) == 1);
  CHECK(jq::num(same, {"status", "replicas"}) == 2);
  CHECK_FALSE(kinds::same_object(same, old));

  auto scaled = old;
  jq::at(scaled, {"spec", "replicas"}) = 3;
  jq::at(scaled, {"metadata", "generation"}) = 50;
  REQUIRE(test::update(scaled, old).has_value());
  CHECK(meta::generation(scaled) == 2);

  auto nothing = old;
  REQUIRE(test::update(nothing, old).has_value());
  CHECK(kinds::same_object(nothing, old));
  CHECK(nothing == old);
}

TEST_CASE("a put without metadata that the server owns takes it from the stored object") {
  auto old = created(deployment_text);
  jq::at(old, {"metadata", "resourceVersion"}) = "7";
  auto doc = yaml(deployment_text);
  REQUIRE(test::update(doc, old).has_value());
  CHECK(kinds::same_object(doc, old));
}

TEST_CASE("status changes through its subresource only, and nothing else through that") {
  auto old = created(deployment_text);
  jq::at(old, {"metadata", "resourceVersion"}) = "7";
  auto doc = old;
  jq::at(doc, {"spec", "replicas"}) = 9;
  jq::at(doc, {"status", "replicas"}) = 2;
  jq::at(doc, {"metadata", "annotations", "a"}) = "b";
  REQUIRE(test::update(doc, old, "status").has_value());
  CHECK(jq::num(doc, {"spec", "replicas"}) == 2);
  CHECK(jq::num(doc, {"status", "replicas"}) == 2);
  CHECK(meta::annotation(doc, "a") == "b");
  CHECK(meta::generation(doc) == 1);
}

TEST_CASE("a stale version or a foreign uid is a conflict") {
  auto old = created(pod_text);
  jq::at(old, {"metadata", "resourceVersion"}) = "7";
  auto stale = old;
  jq::at(stale, {"metadata", "resourceVersion"}) = "6";
  const auto a = test::update(stale, old);
  REQUIRE_FALSE(a.has_value());
  CHECK(a.error().code == 409);
  CHECK(a.error().message == "Operation cannot be fulfilled on pods \"p\": the object has been modified; please apply "
                             "your changes to the latest version and try again");
  auto foreign = old;
  jq::at(foreign, {"metadata", "uid"}) = "x";
  const auto b = test::update(foreign, old);
  REQUIRE_FALSE(b.has_value());
  CHECK(b.error().message ==
        "Operation cannot be fulfilled on pods \"p\": Precondition failed: UID in precondition: x, "
        "UID in object meta: " +
            std::string{meta::uid(old)});
  auto lease = created(
      "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: l}, spec: {leaseDurationSeconds: 40}}");
  jq::at(lease, {"metadata", "resourceVersion"}) = "7";
  auto unversioned = lease;
  jq::erase(unversioned, {"metadata", "resourceVersion"});
  const auto c = test::update(unversioned, lease);
  REQUIRE_FALSE(c.has_value());
  CHECK(c.error().message ==
        "Lease.coordination.k8s.io \"l\" is invalid: metadata.resourceVersion: Invalid value: 0x0: "
        "must be specified for an update");
}

TEST_CASE("deletion is marked once in the generation") {
  auto d = created(deployment_text);
  kinds::mark_deleted(test::resource("deployments"), d, 0, test::noon);
  CHECK(meta::generation(d) == 2);
  CHECK(jq::str(d, {"metadata", "deletionTimestamp"}) == "2026-11-23T12:00:00Z");
  kinds::mark_deleted(test::resource("deployments"), d, 0, test::noon);
  CHECK(meta::generation(d) == 2);
}

TEST_CASE("a service keeps its addresses and ports over updates, and drops node ports with their type") {
  auto old = created("{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: NodePort, clusterIP: 10.0.0.5, "
                     "selector: {a: b}, ports: "
                     "[{port: 80, nodePort: 30080}]}}");
  jq::at(old, {"metadata", "resourceVersion"}) = "7";
  CHECK(jq::arr(old, {"spec", "clusterIPs"}) == json::array{"10.0.0.5"});
  CHECK(jq::str(old, {"spec", "externalTrafficPolicy"}) == "Cluster");
  auto put = yaml("{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: NodePort, selector: {a: c}, "
                  "ports: [{port: 80}]}}");
  REQUIRE(test::update(put, old).has_value());
  CHECK(jq::str(put, {"spec", "clusterIP"}) == "10.0.0.5");
  CHECK(jq::num(jq::arr(put, {"spec", "ports"})[0], {"nodePort"}) == 30080);
  auto narrowed = old;
  jq::at(narrowed, {"spec", "type"}) = "ClusterIP";
  REQUIRE(test::update(narrowed, old).has_value());
  CHECK(jq::find(jq::arr(narrowed, {"spec", "ports"})[0], {"nodePort"}) == nullptr);
  CHECK(jq::find(narrowed, {"spec", "externalTrafficPolicy"}) == nullptr);
  CHECK(test::message_of(narrowed, test::update_faults(narrowed, old)) == "ok");
}

TEST_CASE("a signing request records who asked") {
  random_source random{1};
  identity who{"jane", "u1", {"dev", "system:authenticated"}, {{"k", {"v"}}}};
  kinds::write_context ctx;
  ctx.random = &random;
  ctx.who = &who;
  auto doc = yaml("{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {name: c}, spec: "
                  "{username: root, "
                  "request: eA==, signerName: example.com/a, usages: [client auth]}}");
  test::normalize(doc);
  REQUIRE(kinds::prepare_create(test::resource("certificatesigningrequests"), doc, ctx).has_value());
  CHECK(jq::str(doc, {"spec", "username"}) == "jane");
  CHECK(jq::arr(doc, {"spec", "groups"}).size() == 2);
  CHECK(jq::arr(doc, {"spec", "extra", "k"}) == json::array{"v"});
}

TEST_CASE("validation of any document of any kind ends, whatever its members are") {
  random_source r{12};
  const char* keys[] = {"spec",  "metadata", "template", "containers", "selector", "ports",    "name",  "labels",
                        "rules", "data",     "volumes",  "subjects",   "roleRef",  "versions", "items", "matchLabels"};
  const auto value = [&](auto self, int depth) -> json::value {
    switch (r.below(depth > 0 ? 6 : 3)) {
    case 0: return nullptr;
    case 1: return static_cast<std::int64_t>(r.below(3)) - 1;
    case 2: return "x-";
    case 3:
    case 4: {
      json::object o;
      for (auto n = r.below(4); n-- > 0;)
        o[keys[r.below(16)]] = self(self, depth - 1);
      return o;
    }
    default: {
      json::array a;
      for (auto n = r.below(3); n-- > 0;)
        a.push_back(self(self, depth - 1));
      return a;
    }
    }
  };
  for (const auto& res : schema::registry::get().resources())
    for (int i = 0; i < 40; ++i) {
      json::value a = json::object{}, b = json::object{};
      for (auto* v : {&a, &b})
        for (int n = 0; n < 4; ++n)
          v->as_object()[keys[r.below(16)]] = value(value, 5);
      kinds::write_context ctx;
      ctx.random = &r;
      (void)kinds::prepare_create(res, a, ctx).has_value();
      (void)kinds::validate_create(res, a);
      if (const auto up = kinds::prepare_update(res, b, a, "", ctx)) (void)kinds::validate_update(res, b, a);
      (void)kinds::warnings(res, b);
    }
  CHECK(true);
}

TEST_CASE("warnings name what will be dropped or is outdated") {
  const auto pod = created("{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {nodeSelector: "
                           "{beta.kubernetes.io/os: linux}, containers: "
                           "[{name: c, image: i, env: [{name: A, value: x}, {name: A, value: z}]}]}}");
  const auto w = kinds::warnings(test::resource("pods"), pod);
  REQUIRE(w.size() == 2);
  CHECK(w[0] == "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead");
  CHECK(w[1] == "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply");
}

TEST_CASE("the cost of validating a config map is microseconds") {
  auto doc = yaml("{apiVersion: v1, kind: ConfigMap, metadata: {name: c, labels: {a: b, c: d}}}");
  jq::at(doc, {"data", "k"}) = std::string(1024, 'x');
  const auto cm = created(doc);
  const auto& r = test::resource("configmaps");
  constexpr int rounds = 2000;
  std::size_t faults = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < rounds; ++i)
    faults += kinds::validate_create(r, cm).size();
  const auto took = std::chrono::steady_clock::now() - start;
  CHECK(faults == 0);
  const auto each = std::chrono::duration_cast<std::chrono::nanoseconds>(took).count() / rounds;
  MESSAGE("validate_create of a ConfigMap: ", each, " ns");
}
