// fixtures: nodes and pods for planner tests.
// Owner:  tests.
// Units:  -
// Errors: -
// Source: ours.
#pragma once

#include "actors/scheduler/cluster_state.hpp"
#include "actors/scheduler/schedule_planner.hpp"

#include <string>

namespace troupe::test {

inline json::value make_node(const std::string& name, const std::string& cpu = "4", const std::string& memory = "8Gi",
                             const std::string& spec = "{}", const std::string& labels = "{}") {
  return json::parse(R"({"kind":"Node","metadata":{"name":")" + name + R"(","labels":)" + labels + R"(},"spec":)" +
                     spec + R"(,"status":{"allocatable":{"cpu":")" + cpu + R"(","memory":")" + memory +
                     R"(","pods":"110","ephemeral-storage":"100Gi"}}})");
}

inline json::value make_pod(const std::string& name, const std::string& spec, const std::string& labels = "{}") {
  return json::parse(R"({"kind":"Pod","metadata":{"name":")" + name + R"(","namespace":"default","uid":"u-)" + name +
                     R"(","labels":)" + labels + R"(},"spec":)" + spec + "}");
}

inline std::string requests(const std::string& cpu, const std::string& memory) {
  return R"({"containers":[{"name":"c","resources":{"requests":{"cpu":")" + cpu + R"(","memory":")" + memory +
         R"("}}}]})";
}

struct planning {
  sched::cluster_state cluster;
  sched::schedule_planner planner;
  random_source ties{7};
  std::string choose(const json::value& pod) {
    auto p = sched::extract_pod(pod);
    return planner.choose(*p, cluster, ties).node;
  }
  std::string explain(const json::value& pod) {
    auto p = sched::extract_pod(pod);
    auto made = planner.choose(*p, cluster, ties);
    return made.node.empty() ? sched::schedule_planner::explain(made, *p, cluster) : "fits on " + made.node;
  }
  void place(const json::value& pod, const std::string& node) { cluster.place(sched::extract_pod(pod), node); }
};

} // namespace troupe::test
