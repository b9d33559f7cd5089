#include "actors/controllers/node_ipam/node_ipam_controller.hpp"
#include "tests/unit/controllers/sim.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::test;

namespace {

struct ipam : sim {
  explicit ipam(std::uint64_t seed, const std::string& range = "10.244.0.0/16") : sim(seed) {
    kubelets = false;
    add<ctl::node_ipam_controller>("node-ipam-controller", range, 24);
    start();
  }
  void node(const std::string& name, const std::string& spec = "{}") {
    api.put("nodes", R"({"apiVersion":"v1","kind":"Node","metadata":{"name":")" + name + R"("},"spec":)" + spec +
                         R"(,"status":{}})");
  }
  std::string cidr(const std::string& name) {
    auto n = api.get("nodes", "", name);
    return n ? std::string{jq::str(n->parse(), {"spec", "podCIDR"})} : std::string{};
  }
  void settle() {
    chaos = true;
    run_for(std::chrono::seconds{2});
    chaos = false;
    run_for(std::chrono::seconds{5});
    CHECK(quiet());
  }
};

} // namespace

TEST_CASE("the lowest network that overlaps nothing is free") {
  using ctl::free_pod_cidr;
  CHECK(free_pod_cidr("10.244.0.0/16", 24, {}) == "10.244.0.0/24");
  CHECK(free_pod_cidr("10.244.0.0/16", 24, {"10.244.0.0/24", "10.244.2.0/24"}) == "10.244.1.0/24");
  CHECK(free_pod_cidr("10.244.0.0/16", 24, {"10.244.0.0/17"}) == "10.244.128.0/24");
  CHECK(free_pod_cidr("10.244.0.0/16", 24, {"10.244.0.0/16"}) == std::nullopt);
  CHECK(free_pod_cidr("10.244.0.0/23", 24, {"10.244.0.0/24", "10.244.1.0/24"}) == std::nullopt);
  CHECK(free_pod_cidr("10.244.0.0/28", 24, {}) == std::nullopt);
  CHECK(free_pod_cidr("nonsense", 24, {}) == std::nullopt);
}

TEST_CASE("nodes that come together get different networks, whatever order events and writes take") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    ipam s(seed);
    for (const char* name : {"w1", "w2", "w3", "w4"})
      s.node(name);
    s.settle();
    std::set<std::string> given;
    for (const char* name : {"w1", "w2", "w3", "w4"})
      given.insert(s.cidr(name));
    CAPTURE(seed);
    CHECK(given == std::set<std::string>{"10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24"});
  }
}

TEST_CASE("what a Node brings is kept and not given to another") {
  ipam s(7);
  s.node("w1", R"({"podCIDR":"10.244.0.0/24"})");
  s.node("w2");
  s.settle();
  CHECK(s.cidr("w1") == "10.244.0.0/24");
  CHECK(s.cidr("w2") == "10.244.1.0/24");
}
