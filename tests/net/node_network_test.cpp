// Nodes of one machine in network namespaces, with real packets.
#include "net/host/named_namespace.hpp"
#include "net/host/node_network.hpp"
#include "net/packet/namespace.hpp"
#include "net/packet/netlink.hpp"

#include "tests/net/scratch_host.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace troupe::net;
using namespace troupe::testing;

namespace {

/// A cluster id that no other test run has.
std::string fresh_id() {
  static constexpr char hex[] = "0123456789abcdef";
  std::random_device rd;
  std::string id;
  for (int i = 0; i < 6; ++i)
    id += hex[rd() % 16];
  return id;
}

struct nodes {
  node_network_config c{fresh_id(), "10.213.7.0/24"};
  ~nodes() { CHECK(remove_node_network(c).has_value()); }
};

} // namespace

TEST_CASE("nodes in namespaces reach each other, the host and the outside, and are removed without a trace") {
  if (!can_make_namespaces()) return;
  scratch_host host{true};
  nodes n;
  REQUIRE(make_node_bridge(n.c).has_value());
  REQUIRE(make_node_namespace(n.c, "m1", "10.213.7.2").has_value());
  REQUIRE(make_node_namespace(n.c, "m2", "10.213.7.3").has_value());
  const auto m1 = node_namespace_path(n.c.cluster_id, "m1"), m2 = node_namespace_path(n.c.cluster_id, "m2");

  // Nobody listens: a refusal means that the packets went there and back.
  CHECK(ask_tcp(m1, "10.213.7.3", 9).error == ECONNREFUSED);
  CHECK(ask_tcp(m2, "10.213.7.1", 9).error == ECONNREFUSED);
  CHECK(ask_tcp({}, "10.213.7.2", 9).error == ECONNREFUSED);
  CHECK(ask_tcp(m1, "192.0.2.2", 9).error == ECONNREFUSED);

  SUBCASE("making them again changes nothing") {
    CHECK(make_node_bridge(n.c).has_value());
    CHECK(make_node_namespace(n.c, "m1", "10.213.7.2").has_value());
    CHECK(ask_tcp(m1, "10.213.7.3", 9).error == ECONNREFUSED);
  }
  SUBCASE("a namespace that vanished comes back") {
    REQUIRE(remove_named_namespace(node_namespace_name(n.c.cluster_id, "m1")).has_value());
    REQUIRE(make_node_namespace(n.c, "m1", "10.213.7.2").has_value());
    CHECK(ask_tcp(m1, "10.213.7.3", 9).error == ECONNREFUSED);
  }
  REQUIRE(remove_node_network(n.c).has_value());
  CHECK(named_namespaces("troupe-" + n.c.cluster_id).empty());
  auto link = route_link::open();
  REQUIRE(link.has_value());
  CHECK(link->index_of(node_bridge_name(n.c.cluster_id)) == 0);
  for (const auto& l : *link->links())
    CHECK(l.alias.find(n.c.cluster_id) == std::string::npos);
  CHECK(output_of("nft list tables").find(n.c.cluster_id) == std::string::npos);
}

TEST_CASE("an address outside the nodes' range is refused before anything is made") {
  const node_network_config c{fresh_id(), "10.213.7.0/24"};
  auto refused = make_node_namespace(c, "m1", "10.9.9.9");
  REQUIRE(refused.has_error());
  CHECK(refused.error().message.find("is not in 10.213.7.0/24") != std::string::npos);
}

TEST_CASE("names are bounded and stay different") {
  const std::string a(200, 'a'), b = std::string(199, 'a') + "b";
  CHECK(node_namespace_name("0a1b2c", "m1") == "troupe-0a1b2c-m1");
  CHECK(node_namespace_name("0a1b2c", a).size() <= 80);
  CHECK(node_namespace_name("0a1b2c", a) != node_namespace_name("0a1b2c", b));
  CHECK(node_bridge_name("0a1b2c").size() <= 15);
}
