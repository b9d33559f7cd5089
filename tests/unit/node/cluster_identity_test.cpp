#include "actors/node/cluster_identity.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
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
  CHECK(made->can_grow());
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

namespace {

cluster_config one_node(const std::string& name) {
  auto c = single_node_config(name);
  c.network.pod_cidr = "10.201.0.0/16";
  c.network.service_cidr = "10.202.0.0/16";
  return c;
}

} // namespace

TEST_CASE("a lone founder takes a slice of the pod range and leaves the rest to later nodes") {
  scratch dir;
  auto made = open_identity(dir.path, one_node("a"));
  REQUIRE(made.has_value());
  CHECK(made->can_grow());
  CHECK(made->one_copy());
  CHECK(made->founders == std::map<std::string, std::uint64_t>{{"a", 1}});
  CHECK(fixed_pod_range(*made, "a") == "10.201.0.0/24");
  CHECK(fixed_pod_range(*made, "b").empty());
  CHECK(read_identity(dir.path)->alone == made->alone);

  SUBCASE("others that the config gains live in namespaces, the founder stays where it is") {
    REQUIRE(note_address(dir.path, "192.0.2.7").has_value());
    auto config = three_and_two();
    config.nodes.push_back(one_node("a").nodes.front());
    auto grown = open_identity(dir.path, config);
    REQUIRE(grown.has_value());
    CHECK(grown->founders == made->founders);
    CHECK(address_of(*grown, config.nodes.back()) == "192.0.2.7");
    CHECK(address_of(*grown, config.nodes.front()) == address_at(grown->node_cidr, 2));
    CHECK_FALSE(grown->addresses.contains("a"));
  }
  SUBCASE("a config that does not name it is refused while it has the only copy") {
    for (const auto& config : {one_node("b"), three_and_two()}) {
      auto refused = open_identity(dir.path, config);
      REQUIRE(refused.has_error());
      CHECK(refused.error().message.find("was founded by node a") != std::string::npos);
    }
    REQUIRE(mark_grown(dir.path).has_value());
    CHECK_FALSE(read_identity(dir.path)->one_copy());
    CHECK(open_identity(dir.path, three_and_two()).has_value());
  }
}

TEST_CASE("the slice of a lone founder is as large as its pods need") {
  CHECK(first_pod_slice("10.201.0.0/16", 110) == "10.201.0.0/24");
  CHECK(first_pod_slice("10.201.0.0/16", 253) == "10.201.0.0/24");
  CHECK(first_pod_slice("10.201.0.0/16", 254) == "10.201.0.0/23");
  CHECK(first_pod_slice("10.201.64.0/18", 1000) == "10.201.64.0/22");
  CHECK(first_pod_slice("10.201.8.0/24", 10000) == "10.201.8.0/24");
}

TEST_CASE("a directory whose one node holds the whole pod range goes on, and does not grow") {
  scratch dir;
  const std::string old = R"({"format":1,"id":"0a1b2c","podCIDR":"10.201.0.0/16","serviceCIDR":"10.202.0.0/16"})";
  std::ofstream(dir.path + "/cluster.json") << old;
  auto known = open_identity(dir.path, one_node("a"));
  REQUIRE(known.has_value());
  CHECK_FALSE(known->can_grow());
  CHECK(known->one_copy());
  CHECK(fixed_pod_range(*known, "a") == "10.201.0.0/16");
  for (const auto& sentence : {growth_refusal(*known, one_node("a").nodes.front(), dir.path),
                               open_identity(dir.path, three_and_two()).error().message}) {
    CHECK(sentence.find("holds the whole pod range") != std::string::npos);
    CHECK(sentence.find("troupe backup FILE --data-dir " + dir.path) != std::string::npos);
  }
  REQUIRE(mark_grown(dir.path).has_value());
  REQUIRE(note_address(dir.path, "192.0.2.7").has_value());
  std::ifstream in(dir.path + "/cluster.json");
  std::string now;
  std::getline(in, now);
  CHECK(now == old);
}

TEST_CASE("a founder that only listens to itself cannot have others") {
  cluster_identity c;
  c.founders = {{"a", 1}};
  c.alone.node = "a";
  auto self = one_node("a").nodes.front();
  CHECK(growth_refusal(c, self, "/data").empty());
  self.listen = "127.0.0.1";
  CHECK(growth_refusal(c, self, "/data").find("listens on 127.0.0.1 only") != std::string::npos);
  self.address = "192.0.2.7"; // actors listen there
  CHECK(growth_refusal(c, self, "/data").empty());
}

TEST_CASE("the range of the nodes keeps clear of what is taken") {
  CHECK(free_node_range({}) == "10.200.0.0/24");
  CHECK(free_node_range({*parse_range("10.200.0.0/16")}) == "10.201.0.0/24");
  CHECK(free_node_range({*parse_range("10.0.0.0/8")}).empty());
}
