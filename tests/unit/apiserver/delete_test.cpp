#include "tests/support/api_lab.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using test::api_lab;

namespace {
const std::string maps = "/api/v1/namespaces/default/configmaps";
const std::string pods = "/api/v1/namespaces/default/pods";

void make_pod(api_lab& l, bool bound) {
  l.post(pods, R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"x"}]}})");
  if (bound) l.post(pods + "/p/binding", R"({"metadata":{"name":"p"},"target":{"kind":"Node","name":"n1"}})");
}
} // namespace

TEST_CASE("a plain object goes at once and a Status says so") {
  api_lab l;
  l.post(maps, R"({"metadata":{"name":"m"}})");
  const auto a = l.remove(maps + "/m");
  CHECK(a.code == 200);
  CHECK(a.at({"status"}) == "Success");
  CHECK(a.at({"details", "kind"}) == "configmaps");
  CHECK(l.get(maps + "/m").code == 404);
  CHECK(l.remove(maps + "/m").code == 404);
}

TEST_CASE("finalizers hold an object until the last is gone") {
  api_lab l;
  l.post(maps, R"({"metadata":{"name":"m","finalizers":["a.b/c"]}})");
  const auto a = l.remove(maps + "/m");
  CHECK(a.code == 200);
  CHECK(!a.at({"metadata", "deletionTimestamp"}).empty());
  CHECK(l.remove(maps + "/m").body == a.body);
  CHECK(l.merge(maps + "/m", R"({"metadata":{"finalizers":["a.b/c","d.e/f"]}})").code == 422);
  CHECK(l.merge(maps + "/m", R"({"metadata":{"finalizers":null}})").code == 200);
  CHECK(l.get(maps + "/m").code == 404);
}

TEST_CASE("a dry run in the body deletes nothing, an unknown one is refused") {
  api_lab l;
  l.post(maps, R"({"metadata":{"name":"m"}})");
  CHECK(l.remove(maps + "/m", R"({"dryRun":["all"]})").code == 422);
  CHECK(l.remove(maps + "/m", R"({"dryRun":["All"]})").code == 200);
  CHECK(l.get(maps + "/m").code == 200);
}

TEST_CASE("orphanDependents=false is 202 when the object has to wait") {
  api_lab l;
  l.post(maps, R"({"metadata":{"name":"m","finalizers":["a.b/c"]}})");
  CHECK(l.remove(maps + "/m", R"({"orphanDependents":false})").code == 202);
  l.post(maps, R"({"metadata":{"name":"n"}})");
  CHECK(l.remove(maps + "/n", R"({"orphanDependents":false})").code == 200);
}

TEST_CASE("preconditions guard a delete") {
  api_lab l;
  const auto m = l.post(maps, R"({"metadata":{"name":"m"}})");
  const auto wrong = l.remove(maps + "/m", R"({"preconditions":{"uid":"x"}})");
  CHECK(wrong.code == 409);
  CHECK(wrong.message().find("the UID in the precondition (x) does not match the UID in record (") !=
        std::string_view::npos);
  CHECK(l.remove(maps + "/m", R"({"preconditions":{"resourceVersion":"1"}})").code == 409);
  CHECK(
      l.remove(maps + "/m", R"({"preconditions":{"uid":")" + std::string(m.at({"metadata", "uid"})) + R"("}})").code ==
      200);
}

TEST_CASE("a pod without a node goes at once, one with a node gets its grace") {
  api_lab l;
  make_pod(l, false);
  CHECK(l.remove(pods + "/p").at({"kind"}) == "Pod");
  CHECK(l.get(pods + "/p").code == 404);
  make_pod(l, true);
  const auto a = l.remove(pods + "/p");
  CHECK(a.at({"metadata", "deletionTimestamp"}) == "2027-01-15T08:00:30Z");
  CHECK(jq::num(a.body, {"metadata", "deletionGracePeriodSeconds"}) == 30);
  const auto longer = l.remove(pods + "/p", R"({"gracePeriodSeconds":60})");
  CHECK(jq::num(longer.body, {"metadata", "deletionGracePeriodSeconds"}) == 30);
  const auto sooner = l.remove(pods + "/p", R"({"gracePeriodSeconds":5})");
  CHECK(jq::num(sooner.body, {"metadata", "deletionGracePeriodSeconds"}) == 5);
  CHECK(l.remove(pods + "/p?gracePeriodSeconds=0").code == 200);
  CHECK(l.get(pods + "/p").code == 404);
}

TEST_CASE("the propagation policy becomes a finalizer") {
  api_lab l;
  l.post(maps, R"({"metadata":{"name":"f"}})");
  const auto f = l.remove(maps + "/f", R"({"propagationPolicy":"Foreground"})");
  CHECK(jq::arr(f.body, {"metadata", "finalizers"}) == json::array{json::value("foregroundDeletion")});
  l.post(maps, R"({"metadata":{"name":"o"}})");
  const auto o = l.remove(maps + "/o?propagationPolicy=Orphan");
  CHECK(jq::arr(o.body, {"metadata", "finalizers"}) == json::array{json::value("orphan")});
  CHECK(l.remove(maps + "/f", R"({"propagationPolicy":"Orphan","orphanDependents":true})").code == 422);
  CHECK(l.remove(maps + "/f", R"({"propagationPolicy":"Sideways"})").code == 422);
}

TEST_CASE("a namespace ends by its finalize subresource") {
  api_lab l;
  l.post("/api/v1/namespaces", R"({"metadata":{"name":"foo"}})");
  const auto a = l.remove("/api/v1/namespaces/foo");
  CHECK(a.at({"status", "phase"}) == "Terminating");
  const auto refused = l.post("/api/v1/namespaces/foo/configmaps", R"({"metadata":{"name":"m"}})");
  CHECK(refused.code == 403);
  CHECK(refused.message() ==
        "configmaps \"m\" is forbidden: unable to create new content in namespace foo because it is being terminated");
  auto doc = a.body;
  jq::at(doc, {"spec", "finalizers"}) = json::array{};
  CHECK(l.put("/api/v1/namespaces/foo/finalize", json::serialize(doc)).code == 200);
  CHECK(l.get("/api/v1/namespaces/foo").code == 404);
}

TEST_CASE("three namespaces cannot be deleted") {
  api_lab l;
  for (const char* n : {"default", "kube-system", "kube-public"}) {
    const auto a = l.remove("/api/v1/namespaces/" + std::string(n));
    CHECK(a.code == 403);
    CHECK(a.message() == "namespaces \"" + std::string(n) + "\" is forbidden: this namespace may not be deleted");
  }
}

TEST_CASE("a create that races with the end of its namespace is refused") {
  api_lab l;
  l.post("/api/v1/namespaces", R"({"metadata":{"name":"foo"}})");
  l.interfere = [&] { l.remove("/api/v1/namespaces/foo"); };
  CHECK(l.post("/api/v1/namespaces/foo/configmaps", R"({"metadata":{"name":"m"}})").code == 403);
}

TEST_CASE("deletecollection removes what is selected, however many") {
  api_lab l;
  for (int i = 0; i < 600; ++i)
    l.post(maps, R"({"metadata":{"name":"m)" + std::to_string(i) + R"(","labels":{"a":")" + (i % 2 ? "odd" : "even") +
                     R"("}}})");
  const auto a = l.remove(maps + "?labelSelector=a%3Dodd");
  CHECK(a.code == 200);
  CHECK(jq::num(a.body, {"items"}) == 300);
  CHECK(l.get(maps).body.at("items").as_array().size() == 300);
}

TEST_CASE("an eviction respects the budget and takes from it") {
  api_lab l;
  l.post(pods, R"({"metadata":{"name":"p","labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"x"}]}})");
  l.merge(pods + "/p/status", R"({"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}})");
  const std::string budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
  l.post(budgets, R"({"metadata":{"name":"b"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"a":"b"}}}})");
  l.merge(
      budgets + "/b/status",
      R"({"status":{"observedGeneration":1,"disruptionsAllowed":0,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1}})");
  const std::string body = R"({"metadata":{"name":"p"}})";
  const auto refused = l.post(pods + "/p/eviction", body);
  CHECK(refused.code == 429);
  CHECK(refused.message() == "Cannot evict pod as it would violate the pod's disruption budget.");
  l.merge(budgets + "/b/status", R"({"status":{"disruptionsAllowed":1}})");
  CHECK(l.post(pods + "/p/eviction", body).code == 201);
  CHECK(l.get(pods + "/p").code == 404);
  CHECK(jq::num(l.get(budgets + "/b").body, {"status", "disruptionsAllowed"}) == 0);
}
