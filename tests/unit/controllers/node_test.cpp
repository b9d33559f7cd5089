#include "actors/controllers/accounts/account_controllers.hpp"
#include "actors/controllers/events/event_expiry.hpp"
#include "actors/controllers/node_lifecycle/node_lifecycle_controller.hpp"
#include "actors/controllers/node_lifecycle/node_lifecycle_core.hpp"
#include "actors/controllers/rbac/role_aggregation.hpp"
#include "tests/unit/controllers/sim.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

struct nodes : sim {
  explicit nodes(std::uint64_t seed) : sim(seed) {
    kubelets = false;
    add<ctl::node_lifecycle_controller>("node-controller", ctl::node_lifecycle_options{});
    start();
  }
  void node(const std::string& ready, const std::string& spec = "{}") {
    api.put("nodes", R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"},"spec":)" + spec +
                         R"(,"status":{"conditions":[{"type":"Ready","status":")" + ready +
                         R"(","lastHeartbeatTime":")" + format_time(api.now) + R"("}]}})");
  }
  void lease() {
    api.put(
        "leases.coordination.k8s.io",
        R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"n1","namespace":"kube-node-lease"},
      "spec":{"renewTime":")" +
            format_micro_time(api.now) + R"("}})");
  }
  void pod(const std::string& name, const std::string& tolerations = "[]") {
    api.put("pods", R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name +
                        R"(","namespace":"default"},"spec":{"nodeName":"n1","tolerations":)" + tolerations +
                        R"(},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}})");
  }
  std::set<std::string> taints() {
    std::set<std::string> out;
    auto d = api.doc("nodes", "", "n1");
    for (const auto& t : jq::arr(d, {"spec", "taints"}))
      out.insert(std::string{jq::str(t, {"key"})} + ":" + std::string{jq::str(t, {"effect"})});
    return out;
  }
  std::string ready() {
    auto d = api.doc("nodes", "", "n1");
    for (const auto& c : jq::arr(d, {"status", "conditions"}))
      if (jq::str(c, {"type"}) == "Ready") return std::string{jq::str(c, {"status"})};
    return {};
  }
  bool leaving(const std::string& name) {
    auto o = api.get("pods", "default", name);
    return !o || o->meta().deleting;
  }
};

constexpr const char* five_minutes =
    R"([{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300},
        {"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}])";

} // namespace

TEST_CASE("a node that reports Ready loses its not-ready taint and keeps those of others") {
  nodes n{1};
  n.node(
      "True",
      R"({"taints":[{"key":"node.kubernetes.io/not-ready","effect":"NoSchedule"},{"key":"mine","effect":"NoSchedule"}]})");
  n.run_for(1s);
  CHECK(n.taints() == std::set<std::string>{"mine:NoSchedule"});
  n.node("True", R"({"unschedulable":true})");
  n.run_for(1s);
  CHECK(n.taints() == std::set<std::string>{"node.kubernetes.io/unschedulable:NoSchedule"});
}

TEST_CASE("a silent node becomes Unknown and its pods leave when their tolerations run out") {
  nodes n{2};
  n.node("True");
  n.lease();
  n.pod("patient", five_minutes);
  n.pod("hasty");
  n.pod("forever", R"([{"operator":"Exists"}])");
  n.run_for(30s);
  n.lease(); // a renewed lease is a sign of life
  n.run_for(30s);
  CHECK(n.ready() == "True");
  n.run_for(15s);
  CHECK(n.ready() == "Unknown");
  CHECK(n.taints() ==
        std::set<std::string>{"node.kubernetes.io/unreachable:NoExecute", "node.kubernetes.io/unreachable:NoSchedule"});
  CHECK(n.leaving("hasty"));
  CHECK_FALSE(n.leaving("patient"));
  auto pod = n.api.doc("pods", "default", "forever");
  CHECK(jq::str(pod.at("status").at("conditions").at(0), {"status"}) == "False"); // out of its Services
  n.run_for(300s);
  CHECK(n.leaving("patient"));
  CHECK_FALSE(n.leaving("forever"));
}

TEST_CASE("a node that comes back in time keeps its pods") {
  nodes n{3};
  n.node("True");
  n.pod("patient", five_minutes);
  n.run_for(100s);
  CHECK(n.ready() == "Unknown");
  n.node("True");
  n.run_for(1s);
  CHECK(n.taints().empty());
  for (int i = 0; i < 20; ++i) {
    n.run_for(20s);
    n.lease();
  }
  CHECK_FALSE(n.leaving("patient"));
}

TEST_CASE("pods of a deleted node are removed after the quarantine") {
  nodes n{4};
  n.node("True");
  n.pod("p", five_minutes);
  n.run_for(1s);
  n.api.erase("nodes", "", "n1");
  n.pod("p", five_minutes);
  n.run_for(30s);
  CHECK(n.api.get("pods", "default", "p") != nullptr);
  n.run_for(15s);
  CHECK(n.api.get("pods", "default", "p") == nullptr);
}

TEST_CASE("the shortest matching toleration decides when a pod leaves") {
  sys_micros t0{1000s};
  std::vector<ctl::node_taint> taints{{"k", "v", "NoExecute", t0}, {"z", "", "NoSchedule", t0}};
  ctl::pod_facts p;
  CHECK(ctl::eviction_time(p, taints, t0 + 5s) == t0 + 5s);
  p.tolerations = {{"k", "v", "NoExecute", false, 60}, {"", "", "", true, 30}};
  CHECK(ctl::eviction_time(p, taints, t0 + 5s) == t0 + 30s);
  p.tolerations = {{"k", "", "NoExecute", true, {}}};
  CHECK_FALSE(ctl::eviction_time(p, taints, t0));
  p.tolerations = {{"k", "other", "NoExecute", false, {}}};
  CHECK(ctl::eviction_time(p, taints, t0) == t0);
}

TEST_CASE("every namespace has its account and root certificate, also after someone removed or changed them") {
  sim s{1};
  s.kubelets = false;
  s.add<ctl::service_account_controller>("service-account-controller");
  s.add<ctl::root_ca_controller>("root-ca-certificate-publisher", std::string{"PEM"});
  s.api.put("namespaces", R"({"metadata":{"name":"a"}})");
  s.start();
  s.api.put("namespaces", R"({"metadata":{"name":"b"}})");
  s.run_for(1s);
  for (const char* ns : {"a", "b"}) {
    CHECK(s.api.get("serviceaccounts", ns, "default") != nullptr);
    CHECK(jq::str(s.api.doc("configmaps", ns, "kube-root-ca.crt"), {"data", "ca.crt"}) == "PEM");
  }
  s.api.erase("serviceaccounts", "a", "default");
  auto cm = s.api.doc("configmaps", "a", "kube-root-ca.crt");
  jq::at(cm, {"data", "ca.crt"}) = "forged";
  s.api.put("configmaps", std::move(cm));
  s.run_for(1s);
  CHECK(s.api.get("serviceaccounts", "a", "default") != nullptr);
  CHECK(jq::str(s.api.doc("configmaps", "a", "kube-root-ca.crt"), {"data", "ca.crt"}) == "PEM");
}

TEST_CASE("aggregated cluster roles are the union of what they select") {
  sim s{1};
  s.kubelets = false;
  s.add<ctl::role_aggregation>("clusterrole-aggregation-controller");
  s.start();
  auto table = "clusterroles.rbac.authorization.k8s.io";
  s.api.put(
      table,
      R"({"metadata":{"name":"all"},"rules":[],"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"to":"all"}}]}})");
  s.api.put(table, R"({"metadata":{"name":"x","labels":{"to":"all"}},"rules":[{"verbs":["get"],"resources":["a"]}]})");
  s.api.put(
      table,
      R"({"metadata":{"name":"y","labels":{"to":"all"}},"rules":[{"verbs":["get"],"resources":["b"]},{"verbs":["get"],"resources":["a"]}]})");
  s.run_for(1s);
  CHECK(jq::arr(s.api.doc(table, "", "all"), {"rules"}).size() == 2);
  s.api.erase(table, "", "y");
  s.run_for(1s);
  CHECK(jq::arr(s.api.doc(table, "", "all"), {"rules"}).size() == 1);
}

TEST_CASE("events go an hour after they were last written") {
  sim s{1};
  s.kubelets = false;
  s.add<ctl::event_expiry>("event-expiry", std::chrono::microseconds{100s});
  s.start();
  s.api.put("events", R"({"metadata":{"name":"old","namespace":"a"}})");
  s.api.put("events", R"({"metadata":{"name":"repeated","namespace":"a"}})");
  s.run_for(60s);
  s.api.put("events", R"({"metadata":{"name":"repeated","namespace":"a"},"count":2})");
  s.run_for(60s);
  CHECK(s.api.get("events", "a", "old") == nullptr);
  CHECK(s.api.get("events", "a", "repeated") != nullptr);
  s.run_for(60s);
  CHECK(s.api.get("events", "a", "repeated") == nullptr);
}
