#include "tests/support/api_lab.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using test::api_lab;

namespace {
const std::string maps = "/api/v1/namespaces/default/configmaps";
const std::string pods = "/api/v1/namespaces/default/pods";
const std::string deployments = "/apis/apps/v1/namespaces/default/deployments";
const std::string one_pod =
    R"({"metadata":{"name":"p","labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"x"}]}})";
const std::string one_deployment =
    R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"x"}]}}}})";
} // namespace

TEST_CASE("a created object carries what the server sets") {
  api_lab l;
  const auto a = l.post(maps, R"({"metadata":{"name":"m"},"data":{"k":"v"}})");
  CHECK(a.code == 201);
  CHECK(a.at({"kind"}) == "ConfigMap");
  CHECK(a.at({"apiVersion"}) == "v1");
  CHECK(a.at({"metadata", "namespace"}) == "default");
  CHECK(a.at({"metadata", "uid"}).size() == 36);
  CHECK(a.at({"metadata", "creationTimestamp"}) == "2027-01-15T08:00:00Z");
  CHECK(!a.at({"metadata", "resourceVersion"}).empty());
  CHECK(l.get(maps + "/m").body == a.body);
}

TEST_CASE("a second create of the name is AlreadyExists, also when the first came in between") {
  api_lab l;
  l.interfere = [&] { l.post(maps, R"({"metadata":{"name":"m"}})"); };
  const auto a = l.post(maps, R"({"metadata":{"name":"m"}})");
  CHECK(a.code == 409);
  CHECK(a.reason() == "AlreadyExists");
  CHECK(a.message() == "configmaps \"m\" already exists");
}

TEST_CASE("generateName makes a name") {
  api_lab l;
  const auto a = l.post(maps, R"({"metadata":{"generateName":"m-"}})");
  CHECK(a.code == 201);
  CHECK(a.at({"metadata", "name"}).size() == 7);
}

TEST_CASE("bodies that do not fit the request are refused with Kubernetes' words") {
  api_lab l;
  CHECK(l.post(maps, R"({"metadata":{"name":"m","namespace":"other"}})").message() ==
        "the namespace of the provided object does not match the namespace sent on the request");
  CHECK(l.post(maps, R"({"kind":"Secret","metadata":{"name":"m"}})").code == 400);
  CHECK(l.post(maps, R"({"apiVersion":"v2","metadata":{"name":"m"}})").message() ==
        "the API version in the data (v2) does not match the expected API version (v1)");
  CHECK(l.post(maps, R"({"metadata":{"name":"m","resourceVersion":"1"}})").message() ==
        "resourceVersion should not be set on objects to be created");
  CHECK(l.post(maps, "{bad").code == 400);
  CHECK(l.post(maps, "").code == 400);
  CHECK(l.call("POST", maps, "x", "text/plain").code == 415);
  CHECK(l.post(maps, R"({"metadata":{}})").code == 422);
  CHECK(l.post(maps, R"({"metadata":{"name":"m"},"data":{"k":1}})").code == 400);
  CHECK(l.get(maps).body.at("items").as_array().empty());
}

TEST_CASE("unknown fields are refused under Strict, warned of under Warn, dropped under Ignore") {
  api_lab l;
  const std::string body = R"({"metadata":{"name":"m"},"dat":{}})";
  const auto strict = l.post(maps + "?fieldValidation=Strict", body);
  CHECK(strict.code == 400);
  CHECK(strict.message().find("strict decoding error: unknown field \"dat\"") != std::string_view::npos);
  const auto warned = l.post(maps, body);
  CHECK(warned.code == 201);
  REQUIRE(warned.warnings.size() == 1);
  CHECK(warned.warnings[0] == "299 - \"unknown field \\\"dat\\\"\"");
  l.remove(maps + "/m");
  CHECK(l.post(maps + "?fieldValidation=Ignore", body).warnings.empty());
}

TEST_CASE("a dry run answers and stores nothing") {
  api_lab l;
  CHECK(l.post(maps + "?dryRun=All", R"({"metadata":{"name":"m"}})").code == 201);
  CHECK(l.get(maps + "/m").code == 404);
  l.post(maps, R"({"metadata":{"name":"m"}})");
  l.merge(maps + "/m?dryRun=All", R"({"data":{"a":"b"}})");
  CHECK(l.get(maps + "/m").body.as_object().if_contains("data") == nullptr);
  l.remove(maps + "/m?dryRun=All");
  CHECK(l.get(maps + "/m").code == 200);
}

TEST_CASE("an object over 1.5 MiB is refused") {
  api_lab l;
  const auto a = l.post(pods, R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"x","args":[")" +
                                  std::string(1600 * 1024, 'x') + R"("]}]}})");
  CHECK(a.code == 413);
  CHECK(a.reason() == "RequestEntityTooLarge");
}

TEST_CASE("an update with a stale resourceVersion conflicts, without one it wins") {
  api_lab l;
  const auto first = l.post(maps, R"({"metadata":{"name":"m"}})");
  const auto second = l.put(maps + "/m", R"({"metadata":{"name":"m"},"data":{"a":"1"}})");
  CHECK(second.code == 200);
  const std::string rv{first.at({"metadata", "resourceVersion"})};
  const auto stale =
      l.put(maps + "/m", R"({"metadata":{"name":"m","resourceVersion":")" + rv + R"("},"data":{"a":"2"}})");
  CHECK(stale.code == 409);
  CHECK(stale.message() ==
        "Operation cannot be fulfilled on configmaps \"m\": the object has been modified; please apply your "
        "changes to the latest version and try again");
}

TEST_CASE("an update that changes nothing writes nothing") {
  api_lab l;
  const auto first = l.post(maps, R"({"metadata":{"name":"m"},"data":{"a":"1"}})");
  const auto again = l.put(maps + "/m", json::serialize(first.body));
  CHECK(again.body == first.body);
  CHECK(std::to_string(l.view()->rev()) == first.at({"metadata", "resourceVersion"}));
}

TEST_CASE("an update must name its object") {
  api_lab l;
  l.post(maps, R"({"metadata":{"name":"m"}})");
  CHECK(l.put(maps + "/m", R"({"metadata":{"name":"n"}})").message() ==
        "the name of the object (n) does not match the name on the URL (m)");
  CHECK(l.put(maps + "/none", R"({"metadata":{"name":"none"}})").code == 404);
  CHECK(l.put("/apis/coordination.k8s.io/v1/namespaces/default/leases/l", R"({"metadata":{"name":"l"},"spec":{}})")
            .code == 201);
}

TEST_CASE("a patch survives a competing write, a conditional one does not") {
  api_lab l;
  l.post(maps, R"({"metadata":{"name":"m"}})");
  l.interfere = [&] { l.merge(maps + "/m", R"({"data":{"other":"1"}})"); };
  const auto a = l.merge(maps + "/m", R"({"data":{"mine":"1"}})");
  CHECK(a.code == 200);
  CHECK(a.at({"data", "other"}) == "1");
  CHECK(a.at({"data", "mine"}) == "1");
  CHECK(l.merge(maps + "/m", R"({"metadata":{"resourceVersion":"1"},"data":{"x":"y"}})").code == 409);
}

TEST_CASE("each patch type does its own, and others are 415") {
  api_lab l;
  l.post(deployments, one_deployment);
  const auto target = deployments + "/d";
  const auto strategic =
      l.call("PATCH", target, R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"y"}]}}}})",
             "application/strategic-merge-patch+json");
  CHECK(strategic.code == 200);
  CHECK(jq::num(strategic.body, {"metadata", "generation"}) == 2);
  const auto json_patch =
      l.call("PATCH", target, R"([{"op":"replace","path":"/spec/replicas","value":4}])", "application/json-patch+json");
  CHECK(jq::num(json_patch.body, {"spec", "replicas"}) == 4);
  CHECK(l.call("PATCH", target, R"([{"op":"test","path":"/spec/replicas","value":5}])", "application/json-patch+json")
            .code == 422);
  CHECK(l.call("PATCH", target, "{}", "application/json").code == 415);
  const auto apply = l.call("PATCH", target + "?fieldManager=x", "{}", "application/apply-patch+yaml");
  CHECK(apply.code == 415);
  CHECK(apply.message().find("server-side apply") != std::string_view::npos);
  CHECK(l.merge(deployments + "/none", "{}").code == 404);
  CHECK(l.merge(target, R"({"metadata":{"name":"e"}})").code == 400);
  const auto strict = l.merge(target + "?fieldValidation=Strict", R"({"spec":{"colour":1}})");
  CHECK(strict.code == 422);
  CHECK(strict.message().find("unknown field \"spec.colour\"") != std::string_view::npos);
}

TEST_CASE("status is written through its subresource only") {
  api_lab l;
  l.post(deployments, one_deployment);
  CHECK(jq::num(l.merge(deployments + "/d", R"({"status":{"replicas":3}})").body, {"status", "replicas"}) == 0);
  const auto a = l.merge(deployments + "/d/status", R"({"status":{"replicas":3},"spec":{"replicas":9}})");
  CHECK(a.code == 200);
  CHECK(jq::num(a.body, {"status", "replicas"}) == 3);
  CHECK(jq::num(a.body, {"spec", "replicas"}) == 1);
  CHECK(jq::num(a.body, {"metadata", "generation"}) == 1);
}

TEST_CASE("scale reads and writes the replicas of its parent") {
  api_lab l;
  l.post(deployments, one_deployment);
  const auto s = l.get(deployments + "/d/scale");
  CHECK(s.at({"kind"}) == "Scale");
  CHECK(jq::num(s.body, {"spec", "replicas"}) == 1);
  CHECK(s.at({"status", "selector"}) == "a=b");
  const auto p = l.merge(deployments + "/d/scale", R"({"spec":{"replicas":7}})");
  CHECK(p.code == 200);
  CHECK(p.at({"kind"}) == "Scale");
  CHECK(jq::num(p.body, {"spec", "replicas"}) == 7);
  CHECK(jq::num(l.get(deployments + "/d").body, {"spec", "replicas"}) == 7);
  CHECK(l.put(deployments + "/d/scale", R"({"metadata":{"name":"d","resourceVersion":"1"},"spec":{"replicas":1}})")
            .code == 409);
  CHECK(l.merge(deployments + "/d/scale", R"({"spec":{"replicas":-1}})").code == 422);
}

TEST_CASE("a binding places a pod once") {
  api_lab l;
  l.post(pods, one_pod);
  const std::string body = R"({"metadata":{"name":"p"},"target":{"kind":"Node","name":"n1"}})";
  CHECK(l.post(pods + "/p/binding", body).code == 201);
  const auto pod = l.get(pods + "/p");
  CHECK(pod.at({"spec", "nodeName"}) == "n1");
  const auto again = l.post(pods + "/p/binding", body);
  CHECK(again.code == 409);
  CHECK(again.message() ==
        "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"n1\"");
  CHECK(l.post(pods + "/q/binding", R"({"metadata":{"name":"q"},"target":{"name":"n1"}})").code == 404);
}

TEST_CASE("a method that fits no path is 405, an unknown kind 404") {
  api_lab l;
  CHECK(l.put(maps, "{}").code == 405);
  CHECK(l.get("/api/v1/namespaces/default/nosuch").code == 404);
  CHECK(l.get("/api/v1/namespaces/default/configmaps/a/nosuch").code == 404);
  CHECK(l.remove("/api/v1/namespaces").code == 405);
}

TEST_CASE("both versions of a kind show one object") {
  api_lab l;
  const auto v1 = l.post(
      "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers",
      R"({"metadata":{"name":"h"},"spec":{"maxReplicas":3,"scaleTargetRef":{"kind":"Deployment","name":"d"},"targetCPUUtilizationPercentage":60}})");
  REQUIRE(v1.code == 201);
  CHECK(v1.at({"apiVersion"}) == "autoscaling/v1");
  CHECK(jq::num(v1.body, {"spec", "targetCPUUtilizationPercentage"}) == 60);
  const auto v2 = l.get("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/h");
  CHECK(v2.at({"apiVersion"}) == "autoscaling/v2");
  REQUIRE(jq::arr(v2.body, {"spec", "metrics"}).size() == 1);
  const auto e = l.post(
      "/api/v1/namespaces/default/events",
      R"({"metadata":{"name":"e"},"involvedObject":{"kind":"Pod","name":"p","namespace":"default"},"reason":"R","message":"M","type":"Normal"})");
  REQUIRE(e.code == 201);
  const auto other = l.get("/apis/events.k8s.io/v1/namespaces/default/events/e");
  CHECK(other.at({"note"}) == "M");
  CHECK(other.at({"regarding", "kind"}) == "Pod");
}

TEST_CASE("a signing request records who asks, whatever it says itself") {
  api_lab l;
  identity who;
  who.user = "jane";
  who.uid = "u-1";
  who.groups = {"system:masters", "system:authenticated"};
  who.extra["scopes"] = {"a", "b"};
  l.as(who);
  const std::string csrs = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
  const auto made = l.post(
      csrs,
      R"({"metadata":{"name":"c"},"spec":{"request":"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIV01INENBUUF3SERFYU1CZ0dBMVVFQXd3UmMzbHpkR1Z0T2==","signerName":"example.com/s","usages":["client auth"],"username":"forged","groups":["forged"]}})");
  INFO(made.message());
  REQUIRE(made.code == 201);
  CHECK(made.at({"spec", "username"}) == "jane");
  CHECK(made.at({"spec", "uid"}) == "u-1");
  CHECK(jq::arr(made.body, {"spec", "groups"}).size() == 2);
  CHECK(jq::arr(made.body, {"spec", "extra", "scopes"}).size() == 2);
}

TEST_CASE("a gated pod says so from its first moment") {
  api_lab l;
  l.post("/api/v1/namespaces/default/serviceaccounts", R"({"metadata":{"name":"default"}})");
  const auto p = l.post(
      pods,
      R"({"metadata":{"name":"g"},"spec":{"schedulingGates":[{"name":"x.io/y"}],"containers":[{"name":"c","image":"x"}]}})");
  REQUIRE(p.code == 201);
  const auto& conditions = jq::arr(p.body, {"status", "conditions"});
  REQUIRE(conditions.size() == 1);
  CHECK(jq::str(conditions[0], {"type"}) == "PodScheduled");
  CHECK(jq::str(conditions[0], {"status"}) == "False");
  CHECK(jq::str(conditions[0], {"reason"}) == "SchedulingGated");
  CHECK(jq::str(conditions[0], {"message"}) == "Scheduling is blocked due to non-empty scheduling gates");
}
