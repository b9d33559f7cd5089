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
    if (auto c = read_identity(path)) std::filesystem::remove_all("/run/troupe/" + c->id, ec); // its claim
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
  cluster_config n = single_node_config("a");
  n.network.pod_cidr = "10.201.0.0/16";
  n.network.service_cidr = "10.202.0.0/16";
  auto made = open_identity(dir.path, n);
  REQUIRE(made.has_value());
  CHECK(made->id.size() == 6);
  auto again = open_identity(dir.path, single_node_config("a"));
  REQUIRE(again.has_value());
  CHECK(again->id == made->id);
  CHECK(again->pod_cidr == "10.201.0.0/16");

  SUBCASE("and a config that asks for another range is refused") {
    n.network.pod_cidr = "10.203.0.0/16";
    auto refused = open_identity(dir.path, n);
    REQUIRE(refused.has_error());
    CHECK(refused.error().message.find("cannot change later") != std::string::npos);
  }
}

TEST_CASE("overlapping ranges are refused before anything is written") {
  scratch dir;
  cluster_config n = single_node_config("a");
  n.network.pod_cidr = "10.96.0.0/12";
  n.network.service_cidr = "10.96.0.0/16";
  auto refused = open_identity(dir.path, n);
  REQUIRE(refused.has_error());
  CHECK(refused.error().message.find("overlap") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(dir.path + "/cluster.json"));
}

namespace {

cluster_config three_and_two() {
  cluster_config c;
  c.network.pod_cidr = "10.201.0.0/16";
  c.network.service_cidr = "10.202.0.0/16";
  for (const char* name : {"m1", "w1", "m2", "m3", "w2"}) {
    node_config n;
    n.name = name;
    n.master = name[0] == 'm';
    n.worker = !n.master;
    c.nodes.push_back(n);
  }
  return c;
}

} // namespace

TEST_CASE("a cluster of several nodes numbers its masters in order and gives every node an address") {
  scratch dir;
  auto config = three_and_two();
  auto made = open_identity(dir.path, config);
  REQUIRE(made.has_value());
  CHECK(made->several());
  CHECK(made->founders == std::map<std::string, std::uint64_t>{{"m1", 1}, {"m2", 2}, {"m3", 3}});
  REQUIRE(parse_range(made->node_cidr));
  CHECK(address_of(*made, config.nodes[0]) == address_at(made->node_cidr, 2));
  CHECK(address_of(*made, config.nodes[1]) == address_at(made->node_cidr, 3));

  SUBCASE("a node that the config gains gets the next address, and the others keep theirs") {
    node_config more;
    more.name = "m4";
    config.nodes.insert(config.nodes.begin(), more);
    auto again = open_identity(dir.path, config);
    REQUIRE(again.has_value());
    CHECK(again->founders == made->founders);
    CHECK(address_of(*again, more) == address_at(made->node_cidr, 7));
    CHECK(again->addresses.at("m1") == made->addresses.at("m1"));
  }
  SUBCASE("a founder that began is remembered") {
    REQUIRE(mark_begun(dir.path, "m2").has_value());
    REQUIRE(mark_begun(dir.path, "w1").has_value());
    CHECK(read_identity(dir.path)->begun == std::set<std::string>{"m2"});
  }
}

TEST_CASE("nodes with addresses of their own get none") {
  scratch dir;
  auto config = three_and_two();
  for (auto& n : config.nodes)
    n.address = "192.0.2." + std::to_string(&n - config.nodes.data() + 1);
  auto made = open_identity(dir.path, config);
  REQUIRE(made.has_value());
  CHECK(made->node_cidr.empty());
  CHECK(made->addresses.empty());
  CHECK(address_of(*made, config.nodes[2]) == "192.0.2.3");
}

TEST_CASE("a cluster that one node founded does not become one of several by another config") {
  scratch dir;
  REQUIRE(open_identity(dir.path, single_node_config("a")).has_value());
  auto refused = open_identity(dir.path, three_and_two());
  REQUIRE(refused.has_error());
  CHECK(refused.error().message.find("was founded by one node") != std::string::npos);
}

TEST_CASE("the range of the nodes keeps clear of what is taken") {
  CHECK(free_node_range({}) == "10.200.0.0/24");
  CHECK(free_node_range({*parse_range("10.200.0.0/16")}) == "10.201.0.0/24");
  CHECK(free_node_range({*parse_range("10.0.0.0/8")}).empty());
}
