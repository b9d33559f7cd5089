#include "tests/support/api_lab.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace troupe;
using test::api_lab;

namespace {
const std::string pods = "/api/v1/namespaces/default/pods";
const std::string services = "/api/v1/namespaces/default/services";
std::string pod(const std::string& name, const std::string& more = {}, const std::string& container = {}) {
  return R"({"metadata":{"name":")" + name + R"("},"spec":{"containers":[{"name":"c","image":"x")" + container + "}]" +
         more + "}}";
}
} // namespace

TEST_CASE("nothing is created in a namespace that is not there") {
  api_lab l;
  const auto a = l.post("/api/v1/namespaces/none/configmaps", R"({"metadata":{"name":"m"}})");
  CHECK(a.code == 404);
  CHECK(a.message() == "namespaces \"none\" not found");
}

TEST_CASE("a pod gets its account, its token, its tolerations and its priority") {
  api_lab l;
  const auto a = l.post(pods, pod("p"));
  REQUIRE(a.code == 201);
  CHECK(a.at({"spec", "serviceAccountName"}) == "default");
  const auto& volumes = jq::arr(a.body, {"spec", "volumes"});
  REQUIRE(volumes.size() == 1);
  CHECK(jq::str(volumes[0], {"name"}).substr(0, 16) == "kube-api-access-");
  const auto& mounts = jq::arr(jq::arr(a.body, {"spec", "containers"})[0], {"volumeMounts"});
  REQUIRE(mounts.size() == 1);
  CHECK(jq::str(mounts[0], {"mountPath"}) == "/var/run/secrets/kubernetes.io/serviceaccount");
  CHECK(jq::arr(a.body, {"spec", "tolerations"}).size() == 2);
  CHECK(jq::num(a.body, {"spec", "priority"}, -1) == 0);
  CHECK(a.at({"spec", "preemptionPolicy"}) == "PreemptLowerPriority");
  const auto plain = l.post(pods, pod("q", R"(,"automountServiceAccountToken":false)"));
  CHECK(jq::arr(plain.body, {"spec", "volumes"}).empty());
}

TEST_CASE("a pod whose account or class is missing is refused") {
  api_lab l;
  CHECK(l.post(pods, pod("p", R"(,"serviceAccountName":"none")")).message() ==
        "pods \"p\" is forbidden: error looking up service account default/none: serviceaccount \"none\" not found");
  CHECK(l.post(pods, pod("p", R"(,"priorityClassName":"none")")).message() ==
        "pods \"p\" is forbidden: no PriorityClass with name none was found");
  const auto a = l.post("/api/v1/namespaces/default/pods", pod("s", R"(,"priorityClassName":"system-node-critical")"));
  CHECK(jq::num(a.body, {"spec", "priority"}) == 2000001000);
}

TEST_CASE("a limit range fills in and bounds") {
  api_lab l;
  l.post(
      "/api/v1/namespaces/default/limitranges",
      R"({"metadata":{"name":"r"},"spec":{"limits":[{"type":"Container","default":{"cpu":"500m"},"defaultRequest":{"cpu":"100m"},"max":{"cpu":"1"}}]}})");
  const auto a = l.post(pods, pod("p"));
  REQUIRE(a.code == 201);
  const auto& c = jq::arr(a.body, {"spec", "containers"})[0];
  CHECK(jq::str(c, {"resources", "limits", "cpu"}) == "500m");
  CHECK(jq::str(c, {"resources", "requests", "cpu"}) == "100m");
  CHECK(a.at({"metadata", "annotations", "kubernetes.io/limit-ranger"}) ==
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c");
  const auto b = l.post(pods, pod("q", "", R"(,"resources":{"limits":{"cpu":"2"},"requests":{"cpu":"100m"}})"));
  CHECK(b.code == 403);
  CHECK(b.message() == "pods \"q\" is forbidden: maximum cpu usage per Container is 1, but limit is 2");
}

TEST_CASE("a quota refuses the one too many, also when two come at once") {
  api_lab l;
  const std::string quotas = "/api/v1/namespaces/default/resourcequotas";
  l.post(quotas, R"({"metadata":{"name":"q"},"spec":{"hard":{"pods":"2"}}})");
  CHECK(l.post(pods, pod("a")).code == 201);
  l.interfere = [&] { CHECK(l.post(pods, pod("b")).code == 201); };
  const auto c = l.post(pods, pod("c"));
  CHECK(c.code == 403);
  CHECK(c.message() == "pods \"c\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2");
  CHECK(l.get(quotas + "/q").at({"status", "used", "pods"}) == "2");
  l.remove(pods + "/a");
  CHECK(l.post(pods, pod("c")).code == 201);
}

TEST_CASE("a quota on cpu demands that containers say what they need") {
  api_lab l;
  l.post("/api/v1/namespaces/default/resourcequotas",
         R"({"metadata":{"name":"q"},"spec":{"hard":{"limits.cpu":"1"}}})");
  CHECK(l.post(pods, pod("p")).message() == "pods \"p\" is forbidden: failed quota: q: must specify limits.cpu for: c");
}

TEST_CASE("services get addresses and ports, each one once") {
  api_lab l;
  std::set<std::string> ips;
  for (int i = 0; i < 20; ++i) {
    const auto a = l.post(services, R"({"metadata":{"name":"s)" + std::to_string(i) +
                                        R"("},"spec":{"type":"NodePort","ports":[{"port":80}]}})");
    REQUIRE(a.code == 201);
    CHECK(ips.insert(std::string(a.at({"spec", "clusterIP"}))).second);
    const auto port = jq::num(jq::arr(a.body, {"spec", "ports"})[0], {"nodePort"});
    CHECK(port >= 30000);
    CHECK(port <= 32767);
    CHECK(ips.insert(std::to_string(port)).second);
  }
}

TEST_CASE("an address or port that is taken is refused, also when it is taken in between") {
  api_lab l;
  const auto body = [](const char* name) {
    return std::string(R"({"metadata":{"name":")") + name +
           R"("},"spec":{"type":"NodePort","clusterIP":"10.96.1.1","ports":[{"port":80,"nodePort":30001}]}})";
  };
  l.interfere = [&] { CHECK(l.post(services, body("a")).code == 201); };
  const auto b = l.post(services, body("b"));
  CHECK(b.code == 422);
  CHECK(b.message().find("provided IP is already allocated") != std::string_view::npos);
  const auto c = l.post(
      services, R"({"metadata":{"name":"c"},"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":30001}]}})");
  CHECK(c.message() ==
        "Service \"c\" is invalid: spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated");
  const auto d =
      l.post(services, R"({"metadata":{"name":"d"},"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":80}]}})");
  CHECK(d.message().find("The range of valid ports is 30000-32767") != std::string_view::npos);
  CHECK(l.post(services, R"({"metadata":{"name":"e"},"spec":{"clusterIP":"10.96.0.1","ports":[{"port":80}]}})").code ==
        422);
  CHECK(l.post(services, R"({"metadata":{"name":"f"},"spec":{"clusterIP":"10.1.0.1","ports":[{"port":80}]}})").code ==
        422);
}

TEST_CASE("an update keeps the addresses it leaves out") {
  api_lab l;
  const auto a = l.post(services, R"({"metadata":{"name":"s"},"spec":{"type":"NodePort","ports":[{"port":80}]}})");
  const auto b =
      l.put(services + "/s",
            R"({"metadata":{"name":"s"},"spec":{"type":"NodePort","selector":{"a":"b"},"ports":[{"port":80}]}})");
  CHECK(b.code == 200);
  CHECK(b.at({"spec", "clusterIP"}) == a.at({"spec", "clusterIP"}));
  CHECK(jq::arr(b.body, {"spec", "ports"}) == jq::arr(a.body, {"spec", "ports"}));
  const auto h = l.post(services, R"({"metadata":{"name":"h"},"spec":{"clusterIP":"None","ports":[{"port":80}]}})");
  CHECK(h.message() == "");
  CHECK(h.at({"spec", "clusterIP"}) == "None");
}

TEST_CASE("a new node starts with a taint") {
  api_lab l;
  const auto a = l.post("/api/v1/nodes", R"({"metadata":{"name":"n"}})");
  REQUIRE(jq::arr(a.body, {"spec", "taints"}).size() == 1);
  CHECK(jq::str(jq::arr(a.body, {"spec", "taints"})[0], {"key"}) == "node.kubernetes.io/not-ready");
}

TEST_CASE("a claim without a class gets the default one") {
  api_lab l;
  l.post(
      "/apis/storage.k8s.io/v1/storageclasses",
      R"({"metadata":{"name":"fast","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"x"})");
  const auto a = l.post(
      "/api/v1/namespaces/default/persistentvolumeclaims",
      R"({"metadata":{"name":"c"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}})");
  CHECK(a.at({"spec", "storageClassName"}) == "fast");
  CHECK(jq::arr(a.body, {"metadata", "finalizers"}) == json::array{json::value("kubernetes.io/pvc-protection")});
}

TEST_CASE("the bootstrap objects are there, and a second bootstrap changes nothing") {
  api_lab l;
  CHECK(l.get("/api/v1/namespaces").body.at("items").as_array().size() == 4);
  CHECK(l.get("/api/v1/namespaces/default/services/kubernetes").at({"spec", "clusterIP"}) == "10.96.0.1");
  CHECK(l.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin").code == 200);
  CHECK(l.get("/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical").code == 200);
  CHECK(l.get("/apis/apiregistration.k8s.io/v1/apiservices/v1.apps").code == 200);
}
