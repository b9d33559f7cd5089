#include "actors/node/cluster_identity.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <unistd.h>

using namespace troupe::node;

namespace {

/// A directory of this test alone, removed at its end.
struct scratch {
  std::string path;
  scratch() {
    char name[] = "/tmp/troupe-identity-XXXXXX";
    path = mkdtemp(name);
  }
  ~scratch() {
    std::error_code ec;
    std::filesystem::remove_all(path, ec);
  }
};

} // namespace

TEST_CASE("the n-th address of a range is counted from its first") {
  CHECK(address_at("10.96.0.0/16", 1) == "10.96.0.1");
  CHECK(address_at("10.96.0.0/16", 256) == "10.96.1.0");
  CHECK(address_at("10.96.0.0/30", 4).empty());
}

TEST_CASE("a free range overlaps nothing that is taken") {
  CHECK(free_range(10, 244, {}) == "10.244.0.0/16");
  CHECK(free_range(10, 244, {*parse_range("10.244.3.0/24"), *parse_range("10.245.0.0/16")}) == "10.246.0.0/16");
  CHECK(free_range(10, 244, {*parse_range("10.0.0.0/8")}).empty());
}

TEST_CASE("routes are read from the kernel's table, the default route left out") {
  const auto r = routed_ranges("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n"
                               "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\n"
                               "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\n"
                               "nonsense\n");
  REQUIRE(r.size() == 1);
  CHECK(r[0].first == parse_range("172.17.0.0/16")->first);
  CHECK(r[0].last == parse_range("172.17.0.0/16")->last);
}

TEST_CASE("an identity is chosen once and read back unchanged") {
  scratch dir;
  network_config n;
  n.pod_cidr = "10.201.0.0/16";
  n.service_cidr = "10.202.0.0/16";
  auto made = open_identity(dir.path, n);
  REQUIRE(made.has_value());
  CHECK(made->id.size() == 6);
  auto again = open_identity(dir.path, network_config{});
  REQUIRE(again.has_value());
  CHECK(again->id == made->id);
  CHECK(again->pod_cidr == "10.201.0.0/16");

  SUBCASE("and a config that asks for another range is refused") {
    n.pod_cidr = "10.203.0.0/16";
    auto refused = open_identity(dir.path, n);
    REQUIRE(refused.has_error());
    CHECK(refused.error().message.find("cannot change later") != std::string::npos);
  }
  std::error_code ec;
  std::filesystem::remove_all("/run/troupe/" + made->id, ec);
}

TEST_CASE("overlapping ranges are refused before anything is written") {
  scratch dir;
  network_config n;
  n.pod_cidr = "10.96.0.0/12";
  n.service_cidr = "10.96.0.0/16";
  auto refused = open_identity(dir.path, n);
  REQUIRE(refused.has_error());
  CHECK(refused.error().message.find("overlap") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(dir.path + "/cluster.json"));
}
