#include "tests/unit/scheduler/fixtures.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("refusals read as kube-scheduler words them") {
  planning p;
  CHECK(p.explain(make_pod("a", requests("1", "1Gi"))) == "no nodes available to schedule pods");
  p.cluster.put_node(make_node("n1", "1"));
  p.cluster.put_node(
      make_node("n2", "4", "8Gi", R"({"taints":[{"key":"dedicated","value":"db","effect":"NoSchedule"}]})"));
  p.cluster.put_node(
      make_node("n3", "4", "8Gi", R"({"taints":[{"key":"dedicated","value":"db","effect":"NoExecute"}]})"));
  p.place(make_pod("b", requests("500m", "1Gi")), "n1");
  CHECK(p.explain(make_pod("a", requests("600m", "1Gi"))) ==
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {dedicated: db}. preemption: 0/3 "
        "nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for "
        "scheduling.");
  CHECK(p.explain(make_pod("a", requests("2", "100Gi"))) ==
        "0/3 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 2 node(s) had untolerated taint "
        "{dedicated: db}. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.");
}

TEST_CASE("each filter refuses what it is for") {
  struct row {
    const char *what, *node_spec, *node_labels, *pod_spec, *answer;
  };
  for (
      const auto& r : {
          row{"cordoned", R"({"unschedulable":true})", "{}", R"({"containers":[{}]})", "1 node(s) were unschedulable"},
          row{"selector", "{}", R"({"disk":"hdd"})", R"({"nodeSelector":{"disk":"ssd"},"containers":[{}]})",
              "1 node(s) didn't match Pod's node affinity/selector"},
          row{"affinity operators", "{}", R"({"gen":"3"})",
              R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[
                 {"matchExpressions":[{"key":"gen","operator":"Gt","values":["3"]}]}]}}},"containers":[{}]})",
              "1 node(s) didn't match Pod's node affinity/selector"},
          row{"empty term", "{}", "{}",
              R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{}]}}},
                 "containers":[{}]})",
              "1 node(s) didn't match Pod's node affinity/selector"},
          row{"extended resource", "{}", "{}", R"({"containers":[{"resources":{"requests":{"example.com/gpu":"1"}}}]})",
              "1 Insufficient example.com/gpu"},
          row{"pod affinity", "{}", R"({"zone":"a"})",
              R"({"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[
                 {"topologyKey":"zone","labelSelector":{"matchLabels":{"app":"none"}}}]}},"containers":[{}]})",
              "1 node(s) didn't match pod affinity rules"},
          row{"spread without label", "{}", "{}",
              R"({"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule",
                 "labelSelector":{"matchLabels":{"app":"x"}}}],"containers":[{}]})",
              "1 node(s) didn't match pod topology spread constraints (missing required label)"},
      }) {
    CAPTURE(r.what);
    planning p;
    p.cluster.put_node(make_node("n1", "4", "8Gi", r.node_spec, r.node_labels));
    auto text = p.explain(make_pod("a", r.pod_spec));
    CHECK(text.substr(0, text.find(". preemption")) == std::string{"0/1 nodes are available: "} + r.answer);
  }
}

TEST_CASE("tolerations open tainted and cordoned nodes") {
  planning p;
  p.cluster.put_node(
      make_node("n1", "4", "8Gi",
                R"({"unschedulable":true,"taints":[{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"},
                                  {"key":"k","value":"v","effect":"NoExecute"}]})"));
  CHECK(p.choose(make_pod("a", R"({"containers":[{}],"tolerations":[{"operator":"Exists"}]})")) == "n1");
  CHECK(p.choose(make_pod("a", R"({"containers":[{}],"tolerations":[{"key":"k","value":"v"}]})")).empty());
  CHECK(p.choose(make_pod("a", R"({"containers":[{}],"tolerations":[{"key":"k","value":"v"},
    {"key":"node.kubernetes.io/unschedulable","operator":"Exists","effect":"NoSchedule"}]})")) == "n1");
}

TEST_CASE("host ports collide by protocol and address") {
  planning p;
  p.cluster.put_node(make_node("n1"));
  auto pod = [](const char* port) {
    return make_pod("x", std::string{R"({"containers":[{"ports":[)"} + port + "]}]}");
  };
  p.place(pod(R"({"hostPort":80,"hostIP":"10.0.0.1"})"), "n1");
  auto other = [&](const char* port) {
    auto d = pod(port);
    jq::at(d, {"metadata", "uid"}) = "other";
    return p.choose(d);
  };
  CHECK(other(R"({"hostPort":80})").empty());
  CHECK(other(R"({"hostPort":80,"hostIP":"10.0.0.2"})") == "n1");
  CHECK(other(R"({"hostPort":80,"protocol":"UDP"})") == "n1");
  p.cluster.remove("u-x");
  CHECK(other(R"({"hostPort":80})") == "n1");
}

TEST_CASE("requests count init containers by their peak and sidecars throughout") {
  auto pod = make_pod("a", R"({"overhead":{"cpu":"10m"},"containers":[{"resources":{"requests":{"cpu":"100m"}}}],
    "initContainers":[{"restartPolicy":"Always","resources":{"requests":{"cpu":"50m"}}},
                      {"resources":{"requests":{"cpu":"300m"}}}]})");
  CHECK(sched::effective_requests(pod, false).cpu == 360);
  CHECK(sched::effective_requests(pod, true).memory == 2 * 200LL * 1024 * 1024);
}

TEST_CASE("the emptier node wins and equal nodes share by the given source") {
  planning p;
  p.cluster.put_node(make_node("n1"));
  p.cluster.put_node(make_node("n2"));
  p.place(make_pod("b", requests("2", "4Gi")), "n1");
  CHECK(p.choose(make_pod("a", requests("1", "1Gi"))) == "n2");
  p.cluster.remove("u-b");
  std::map<std::string, int> seen;
  for (int i = 0; i < 200; ++i)
    ++seen[p.choose(make_pod("a", requests("1", "1Gi")))];
  CHECK(seen["n1"] > 60);
  CHECK(seen["n2"] > 60);
}

TEST_CASE("preferred affinity outweighs a slightly emptier node") {
  planning p;
  p.cluster.put_node(make_node("n1", "4", "8Gi", "{}", R"({"disk":"ssd"})"));
  p.cluster.put_node(make_node("n2"));
  p.place(make_pod("b", requests("1", "1Gi")), "n1");
  CHECK(p.choose(make_pod("a", R"({"affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[
    {"weight":10,"preference":{"matchExpressions":[{"key":"disk","operator":"In","values":["ssd"]}]}}]}},
    "containers":[{"resources":{"requests":{"cpu":"1"}}}]})")) == "n1");
}

TEST_CASE("anti-affinity keeps one pod per domain, in both directions") {
  planning p;
  for (const char* n : {"n1", "n2"})
    p.cluster.put_node(make_node(n, "4", "8Gi", "{}", std::string{R"({"host":")"} + n + "\"}"));
  const char* spec = R"({"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[
    {"topologyKey":"host","labelSelector":{"matchLabels":{"app":"w"}}}]}},"containers":[{}]})";
  std::set<std::string> used;
  for (const char* name : {"a", "b"}) {
    auto pod = make_pod(name, spec, R"({"app":"w"})");
    auto node = p.choose(pod);
    REQUIRE(!node.empty());
    used.insert(node);
    p.place(pod, node);
  }
  CHECK(used.size() == 2);
  CHECK(p.explain(make_pod("c", spec, R"({"app":"w"})")).find("2 node(s) didn't match pod anti-affinity rules") !=
        std::string::npos);
  CHECK(p.explain(make_pod("d", R"({"containers":[{}]})", R"({"app":"w"})"))
            .find("2 node(s) didn't satisfy existing pods anti-affinity rules") != std::string::npos);
}

TEST_CASE("spreading keeps the skew between zones") {
  planning p;
  for (auto [n, z] : {std::pair{"n1", "a"}, {"n2", "a"}, {"n3", "b"}})
    p.cluster.put_node(make_node(n, "4", "8Gi", "{}", std::string{R"({"zone":")"} + z + "\"}"));
  std::map<char, int> zones;
  for (int i = 0; i < 6; ++i) {
    auto pod = make_pod("p" + std::to_string(i), R"({"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"zone",
      "whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchLabels":{"app":"w"}}}],"containers":[{}]})",
                        R"({"app":"w"})");
    auto node = p.choose(pod);
    REQUIRE(!node.empty());
    ++zones[node == "n3" ? 'b' : 'a'];
    p.place(pod, node);
  }
  CHECK(zones['a'] == 3);
  CHECK(zones['b'] == 3);
}

TEST_CASE("assumed pods take room until they are forgotten, confirmed ones stay") {
  planning p;
  p.cluster.put_node(make_node("n1", "1"));
  auto a = sched::extract_pod(make_pod("a", requests("800m", "1Gi")));
  auto b = make_pod("b", requests("800m", "1Gi"));
  p.cluster.assume(a, "n1");
  CHECK(p.choose(b).empty());
  CHECK(p.cluster.forget("u-a"));
  CHECK(p.choose(b) == "n1");
  p.cluster.assume(a, "n1");
  p.cluster.place(a, "n1");
  CHECK_FALSE(p.cluster.forget("u-a"));
  CHECK(p.choose(b).empty());
}

TEST_CASE("sums stay exact through any order of changes") {
  random_source rng{42};
  sched::cluster_state c;
  std::map<std::string, std::pair<std::string, int>> model; // uid -> node, cpu
  for (int i = 0; i < 5000; ++i) {
    auto uid = "p" + std::to_string(rng.below(60));
    auto node = "n" + std::to_string(rng.below(5));
    switch (rng.below(4)) {
    case 0:
      c.remove("u-" + uid);
      model.erase(uid);
      break;
    case 1: c.put_node(make_node(node)); break;
    case 2: c.drop_node(node); break;
    default: {
      auto cpu = static_cast<int>(rng.below(500)) + 1;
      auto pod = sched::extract_pod(make_pod(uid, requests(std::to_string(cpu) + "m", "1Mi")));
      if (rng.below(2))
        c.assume(pod, node);
      else
        c.place(pod, node);
      model[uid] = {node, cpu};
    }
    }
  }
  std::map<std::string, std::int64_t> cpu, pods;
  for (const auto& [uid, at] : model)
    cpu[at.first] += at.second, ++pods[at.first];
  for (int i = 0; i < 5; ++i) {
    auto name = "n" + std::to_string(i);
    auto n = c.find(name);
    CHECK((n ? n->used.cpu : 0) == cpu[name]);
    CHECK((n ? n->used.pods : 0) == pods[name]);
  }
}

TEST_CASE("large clusters are sampled and every node gets its turn") {
  planning p;
  for (int i = 0; i < 1000; ++i)
    p.cluster.put_node(make_node("n" + std::to_string(i)));
  CHECK(p.planner.nodes_to_find(1000) == 420);
  CHECK(p.planner.nodes_to_find(5000) == 500);
  CHECK(p.planner.nodes_to_find(50) == 50);
  auto pod = sched::extract_pod(make_pod("a", requests("1", "1Gi")));
  std::set<std::string> seen;
  for (int i = 0; i < 3; ++i)
    for (const auto& f : p.planner.choose(*pod, p.cluster, p.ties).fits)
      seen.insert(f.node->name);
  CHECK(seen.size() == 1000);
}
