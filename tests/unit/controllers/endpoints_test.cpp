#include "actors/controllers/endpoints/endpoints_controllers.hpp"
#include "tests/unit/controllers/sim.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;
using writes = troupe::ctl::endpoints_controller::writes;

namespace {

struct serving : sim {
  explicit serving(std::uint64_t seed) : sim(seed) {
    kubelets = false;
    add<ctl::endpoints_controller>("endpoint-slice-controller", writes::slices);
    add<ctl::endpoints_controller>("endpoint-controller", writes::endpoints);
    start();
  }
  void service(const std::string& more = "") {
    api.put("services", R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"default",
      "labels":{"team":"x"}},"spec":{"clusterIP":"10.96.0.9","ipFamilies":["IPv4"],"selector":{"app":"web"},
      "ports":[{"name":"http","port":80,"targetPort":"web","protocol":"TCP"}])" +
                            more + "}}");
  }
  void pod(int i, bool ready, const std::string& more_meta = "", std::int64_t port = 8080,
           const std::string& more = "") {
    auto n = std::to_string(i);
    api.put("pods", R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p)" + n + R"(","namespace":"default",
      "labels":{"app":"web"})" +
                        more_meta + R"(},"spec":{"nodeName":"n1")" + more +
                        R"(,"containers":[{"name":"c","ports":[{"name":"web",
      "containerPort":)" +
                        std::to_string(port) + R"(}]}]},"status":{"phase":"Running","podIP":"10.0.)" +
                        std::to_string(i / 250) + "." + std::to_string(i % 250 + 1) +
                        R"(","conditions":[{"type":"Ready","status":")" + (ready ? "True" : "False") + R"("}]}})");
  }
  std::vector<json::value> slices() {
    std::vector<json::value> out;
    for (const auto& o : api.all("endpointslices.discovery.k8s.io"))
      out.push_back(o->parse());
    return out;
  }
  std::map<std::string, std::string> conditions() { // address -> "ready serving terminating"
    std::map<std::string, std::string> out;
    for (const auto& s : slices())
      for (const auto& e : jq::arr(s, {"endpoints"})) {
        std::string text;
        for (const char* c : {"ready", "serving", "terminating"})
          text += jq::flag(e, {"conditions", c}) ? '1' : '0';
        out[std::string{e.at("addresses").at(0).as_string()}] = text;
      }
    return out;
  }
};

} // namespace

TEST_CASE("a service gets a slice and an Endpoints object that follow its pods") {
  serving s{1};
  s.service();
  s.run_for(1s);
  REQUIRE(s.slices().size() == 1); // empty, but there
  CHECK(jq::arr(s.slices()[0], {"endpoints"}).empty());
  s.pod(0, true);
  s.pod(1, false);
  s.run_for(1s);
  REQUIRE(s.slices().size() == 1);
  auto d = s.slices()[0];
  CHECK(jq::str(d, {"addressType"}) == "IPv4");
  CHECK(meta::label(d, "kubernetes.io/service-name") == "web");
  CHECK(meta::label(d, "endpointslice.kubernetes.io/managed-by") == "endpointslice-controller.k8s.io");
  CHECK(meta::label(d, "team") == "x");
  CHECK(jq::str(*meta::controller_of(d), {"kind"}) == "Service");
  CHECK(jq::num(d.at("ports").at(0), {"port"}) == 8080);
  CHECK(s.conditions() == std::map<std::string, std::string>{{"10.0.0.1", "110"}, {"10.0.0.2", "000"}});
  auto e = s.api.doc("endpoints", "default", "web");
  const auto& subset = e.at("subsets").at(0);
  CHECK(jq::str(subset.at("addresses").at(0), {"ip"}) == "10.0.0.1");
  CHECK(jq::str(subset.at("addresses").at(0), {"targetRef", "name"}) == "p0");
  CHECK(jq::str(subset.at("notReadyAddresses").at(0), {"ip"}) == "10.0.0.2");
  CHECK(jq::num(subset.at("ports").at(0), {"port"}) == 8080);
  s.pod(0, true, R"(,"deletionTimestamp":"2026-01-01T00:00:10Z")");
  s.run_for(1s);
  CHECK(s.conditions()["10.0.0.1"] == "011"); // terminating pods serve until they are gone
  s.api.erase("pods", "default", "p0");
  s.run_for(1s);
  CHECK(s.conditions().size() == 1);
  auto quiet = s.api.writes;
  s.run_for(5s);
  CHECK(s.api.writes == quiet);
}

TEST_CASE("slices hold a hundred endpoints and a change of one pod writes one slice") {
  serving s{2};
  s.service();
  for (int i = 0; i < 230; ++i)
    s.pod(i, true);
  s.run_for(2s);
  CHECK(s.slices().size() == 3);
  CHECK(s.conditions().size() == 230);
  std::map<std::string, std::string> before;
  for (const auto& d : s.slices())
    before[std::string{meta::name(d)}] = meta::resource_version(d);
  s.pod(117, false);
  s.run_for(1s);
  int changed = 0;
  for (const auto& d : s.slices())
    changed += before[std::string{meta::name(d)}] != meta::resource_version(d);
  CHECK(changed == 1);
}

TEST_CASE("pods that name their port differently get slices of their own") {
  serving s{3};
  s.service();
  s.pod(0, true, "", 8080);
  s.pod(1, true, "", 9090);
  s.run_for(1s);
  std::set<std::int64_t> ports;
  for (const auto& d : s.slices())
    ports.insert(jq::num(d.at("ports").at(0), {"port"}));
  CHECK(ports == std::set<std::int64_t>{8080, 9090});
  CHECK(s.api.doc("endpoints", "default", "web").at("subsets").as_array().size() == 2);
}

TEST_CASE("publishNotReadyAddresses and hostnames of headless services reach the endpoints") {
  serving s{4};
  s.service(R"(,"publishNotReadyAddresses":true)");
  s.pod(0, false, "", 8080, R"(,"hostname":"h0","subdomain":"web")");
  s.run_for(1s);
  CHECK(s.conditions()["10.0.0.1"] == "100");
  CHECK(jq::str(s.slices()[0].at("endpoints").at(0), {"hostname"}) == "h0");
  CHECK(jq::str(s.api.doc("endpoints", "default", "web").at("subsets").at(0).at("addresses").at(0), {"hostname"}) ==
        "h0");
}

TEST_CASE("endpoints of a deleted service go, endpoints made by hand stay") {
  serving s{5};
  s.service();
  s.api.put("endpoints", R"({"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"mine","namespace":"default"}})");
  s.run_for(1s);
  s.api.erase("services", "default", "web");
  s.run_for(1s);
  CHECK(s.api.get("endpoints", "default", "web") == nullptr);
  CHECK(s.api.get("endpoints", "default", "mine") != nullptr);
}

TEST_CASE("late, repeated and lost deliveries end in the same endpoints") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    serving s{seed};
    s.chaos = true;
    s.service();
    std::map<std::string, std::string> model;
    for (int k = 0; k < 120; ++k) {
      auto i = static_cast<int>(s.rng.below(20));
      auto address = "10.0.0." + std::to_string(i + 1);
      if (s.rng.below(4) == 0) {
        s.api.erase("pods", "default", "p" + std::to_string(i));
        model.erase(address);
      } else {
        auto ready = s.rng.below(2) == 0;
        s.pod(i, ready);
        model[address] = ready ? "110" : "000";
      }
      s.step();
    }
    s.run_for(20s);
    s.chaos = false;
    s.run_for(5s);
    CHECK(s.conditions() == model);
  }
}
