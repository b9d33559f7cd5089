#include "actors/apiserver/authenticate.hpp"
#include "actors/apiserver/authorize.hpp"
#include "actors/apiserver/rbac_index.hpp"
#include "tests/support/api_lab.hpp"

#include <doctest/doctest.h>

#include <thread>

using namespace troupe;
using test::api_lab;

namespace {
const std::string maps = "/api/v1/namespaces/default/configmaps";
const std::string pods = "/api/v1/namespaces/default/pods";
const std::string rbac_path = "/apis/rbac.authorization.k8s.io/v1/";

identity user(std::string name, std::vector<std::string> groups = {}) {
  identity i;
  i.user = std::move(name);
  i.groups = std::move(groups);
  i.groups.emplace_back("system:authenticated");
  return i;
}
identity node(const std::string& name) { return user("system:node:" + name, {"system:nodes"}); }

void bind(api_lab& l, const std::string& who, const std::string& role) {
  l.as_admin();
  const auto a = l.post(rbac_path + "namespaces/default/rolebindings",
                        R"({"metadata":{"name":")" + who +
                            R"("},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":")" + who +
                            R"("}],"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":")" +
                            role + R"("}})");
  REQUIRE(a.code == 201);
}
} // namespace

TEST_CASE("without a rule nothing is allowed, and the refusal says what is missing") {
  api_lab l;
  l.as(user("bob"));
  const auto a = l.get(maps);
  CHECK(a.code == 403);
  CHECK(a.message() == "configmaps is forbidden: User \"bob\" cannot list resource \"configmaps\" in API group \"\" in "
                       "the namespace \"default\"");
  CHECK(l.get("/api/v1/nodes").message().find("at the cluster scope") != std::string_view::npos);
}

TEST_CASE("a binding takes effect with the next request, and so does its end") {
  api_lab l;
  bind(l, "bob", "edit");
  l.as(user("bob"));
  CHECK(l.post(maps, R"({"metadata":{"name":"m"}})").code == 201);
  CHECK(l.get("/api/v1/namespaces/kube-system/configmaps").code == 403);
  l.as_admin();
  l.remove(rbac_path + "namespaces/default/rolebindings/bob");
  l.as(user("bob"));
  CHECK(l.get(maps).code == 403);
}

TEST_CASE("nobody grants what they do not hold") {
  api_lab l;
  bind(l, "bob", "admin");
  l.as(user("bob"));
  const std::string roles = rbac_path + "namespaces/default/roles";
  CHECK(l.post(roles, R"({"metadata":{"name":"ok"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]})")
            .code == 201);
  const auto a =
      l.post(roles, R"({"metadata":{"name":"no"},"rules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}]})");
  CHECK(a.code == 403);
  CHECK(a.message().find("is attempting to grant RBAC permissions not currently held") != std::string_view::npos);
  const auto b = l.post(
      rbac_path + "namespaces/default/rolebindings",
      R"({"metadata":{"name":"b"},"subjects":[],"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"}})");
  CHECK(b.code == 403);
}

TEST_CASE("a node touches its own pods and node only") {
  api_lab l;
  l.post("/api/v1/nodes", R"({"metadata":{"name":"n1"}})");
  l.post("/api/v1/nodes", R"({"metadata":{"name":"n2"}})");
  l.post(
      pods,
      R"({"metadata":{"name":"p"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"x","envFrom":[{"secretRef":{"name":"s"}}]}]}})");
  l.post("/api/v1/namespaces/default/secrets", R"({"metadata":{"name":"s"}})");
  l.post("/api/v1/namespaces/default/secrets", R"({"metadata":{"name":"t"}})");
  l.as(node("n1"));
  CHECK(l.get("/api/v1/namespaces/default/secrets/s").code == 200);
  CHECK(l.get("/api/v1/namespaces/default/secrets/t").code == 403);
  CHECK(l.get("/api/v1/namespaces/default/secrets").code == 403);
  CHECK(l.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1").code == 200);
  CHECK(l.get("/api/v1/pods").code == 403);
  CHECK(l.merge(pods + "/p/status", R"({"status":{"phase":"Running"}})").code == 200);
  CHECK(l.merge("/api/v1/nodes/n1/status", R"({"status":{"nodeInfo":{}}})").code == 200);
  CHECK(l.merge("/api/v1/nodes/n2/status", R"({"status":{"nodeInfo":{}}})").code == 403);
  l.as(node("n2"));
  CHECK(l.merge(pods + "/p/status", R"({"status":{"phase":"Failed"}})").code == 403);
  CHECK(l.get("/api/v1/namespaces/default/secrets/s").code == 403);
}

TEST_CASE("a service account's token is its identity until the account goes") {
  api_lab l;
  const auto a =
      l.post("/api/v1/namespaces/default/serviceaccounts/default/token", R"({"spec":{"expirationSeconds":600}})");
  REQUIRE(a.code == 201);
  const std::string token{a.at({"status", "token"})};
  CHECK(a.at({"status", "expirationTimestamp"}) == "2027-01-15T08:10:00Z");
  const auto now = std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'001));
  auto& s = l.services();
  auto who = apiserver::authenticate(s, nullptr, "Bearer " + token, *l.view(), now);
  REQUIRE(who.has_value());
  CHECK((*who)->user == "system:serviceaccount:default:default");
  CHECK((*who)->in_group("system:serviceaccounts:default"));
  CHECK(!apiserver::authenticate(s, nullptr, "Bearer " + token, *l.view(), now + std::chrono::seconds(600)));
  CHECK(!apiserver::authenticate(s, nullptr, "Bearer nonsense", *l.view(), now));
  CHECK(!apiserver::authenticate(s, nullptr, "Basic abc", *l.view(), now));
  l.remove("/api/v1/namespaces/default/serviceaccounts/default");
  CHECK(!apiserver::authenticate(s, nullptr, "Bearer " + token, *l.view(), now));
  CHECK(apiserver::authenticate(s, nullptr, "", *l.view(), now).value()->user == "system:anonymous");
}

TEST_CASE("a token bound to a pod ends with it") {
  api_lab l;
  const auto pod = l.post(pods, R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"x"}]}})");
  const std::string target = "/api/v1/namespaces/default/serviceaccounts/default/token";
  const auto a = l.post(target, R"({"spec":{"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p"}}})");
  REQUIRE(a.code == 201);
  const std::string header = "Bearer " + std::string(a.at({"status", "token"}));
  const auto now = std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'001));
  CHECK(apiserver::authenticate(l.services(), nullptr, header, *l.view(), now).has_value());
  l.remove(pods + "/p");
  CHECK(!apiserver::authenticate(l.services(), nullptr, header, *l.view(), now));
  CHECK(l.post(target, R"({"spec":{"expirationSeconds":10}})").code == 422);
  CHECK(l.post(target, R"({"spec":{"boundObjectRef":{"kind":"Pod","name":"q"}}})").code == 404);
}

TEST_CASE("impersonation needs permission and brings the groups asked for") {
  api_lab l;
  const auto admin = [] {
    identity i;
    i.user = "root";
    i.groups = {"system:masters"};
    return i;
  }();
  auto as = apiserver::impersonate(l.services(), admin, {{"Impersonate-User", "bob"}, {"Impersonate-Group", "dev"}},
                                   *l.view());
  REQUIRE(as.has_value());
  CHECK((*as)->user == "bob");
  CHECK((*as)->in_group("dev"));
  CHECK((*as)->in_group("system:authenticated"));
  auto refused = apiserver::impersonate(l.services(), user("bob"), {{"impersonate-user", "alice"}}, *l.view());
  REQUIRE(!refused);
  CHECK(refused.error().code == 403);
  CHECK(!apiserver::impersonate(l.services(), admin, {{"Impersonate-Group", "dev"}}, *l.view()));
}

TEST_CASE("access reviews answer as requests would be") {
  api_lab l;
  bind(l, "bob", "view");
  l.as(user("bob"));
  const std::string reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
  auto a =
      l.post(reviews, R"({"spec":{"resourceAttributes":{"verb":"list","resource":"pods","namespace":"default"}}})");
  CHECK(a.code == 201);
  CHECK(jq::flag(a.body, {"status", "allowed"}));
  a = l.post(reviews, R"({"spec":{"resourceAttributes":{"verb":"delete","resource":"pods","namespace":"default"}}})");
  CHECK(!jq::flag(a.body, {"status", "allowed"}, true));
  CHECK(l.post(reviews, R"({"spec":{}})").code == 422);
  const auto self = l.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}");
  CHECK(self.at({"status", "userInfo", "username"}) == "bob");
  const auto rules =
      l.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", R"({"spec":{"namespace":"default"}})");
  CHECK(!jq::arr(rules.body, {"status", "resourceRules"}).empty());
}

TEST_CASE("whoever asks while the rules are read for the first time waits for them") {
  api_lab l;
  for (int round = 0; round < 50; ++round) {
    apiserver::rbac_index index{l.services().options.state, l.services().options.hub};
    std::shared_ptr<const rbac::rbac_rules> mine, others;
    std::thread other{[&] { others = index.rules(); }};
    mine = index.rules();
    other.join();
    REQUIRE(mine);
    REQUIRE(others);
  }
}
