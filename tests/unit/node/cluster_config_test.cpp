#include "actors/node/cluster_config.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace troupe::node;

namespace {

const std::string head = "apiVersion: troupe/v1\nkind: TroupeCluster\n";

std::vector<config_error> errors_of(const std::string& text) {
  auto parsed = parse_cluster_config(text);
  REQUIRE(parsed.index() == 1);
  return std::get<1>(parsed);
}

} // namespace

TEST_CASE("a complete file fills every field") {
  auto parsed = parse_cluster_config(head + R"(name: lab
network: {podCIDR: 10.9.0.0/16, serviceCIDR: 10.8.0.0/16, clusterDomain: lab.local, serviceMode: nftables, nodePorts: 31000-31010}
logging: {level: debug, levels: {kubelet: trace}}
nodes:
- name: a
  roles: [master, worker]
  listen: 127.0.0.1
  ports: {api: 1, actors: 2, proxyHealth: 3}
  labels: {zone: z1}
  maxPods: 7
)");
  REQUIRE(parsed.index() == 0);
  const auto& c = std::get<0>(parsed);
  CHECK(c.name == "lab");
  CHECK(c.network.pod_cidr == "10.9.0.0/16");
  CHECK(c.network.node_port_last == 31010);
  CHECK(c.logging.levels.at("kubelet") == "trace");
  REQUIRE(c.nodes.size() == 1);
  CHECK(c.nodes[0].ports.proxy_health == 3);
  CHECK(c.nodes[0].labels.at("zone") == "z1");
  CHECK(c.nodes[0].pods_max == 7);
}

TEST_CASE("an unknown key is refused with its place and the nearest known key") {
  const auto e = errors_of(head + "nodes:\n- name: a\n  lables: {}\n");
  REQUIRE(e.size() == 1);
  CHECK(e[0].line == 5);
  CHECK(e[0].column == 3);
  CHECK(e[0].what.find("did you mean \"labels\"?") != std::string::npos);
}

TEST_CASE("a key far from any other lists the known ones") {
  const auto e = errors_of(head + "zzzzzzzz: 1\nnodes: [{name: a}]\n");
  REQUIRE(e.size() == 1);
  CHECK(e[0].what.find("known keys are apiVersion, kind, name, network, logging, nodes") != std::string::npos);
}

TEST_CASE("every mistake of a file is reported at once, in order") {
  const auto e =
      errors_of(head + "network: {podCIDR: 10.1.2.3/16, nodePorts: 9-1}\nnodes:\n- {name: A, roles: [boss]}\n");
  REQUIRE(e.size() >= 4);
  for (std::size_t i = 1; i < e.size(); ++i)
    CHECK(std::pair{e[i - 1].line, e[i - 1].column} <= std::pair{e[i].line, e[i].column});
}

TEST_CASE("missing keys, repeated names and a cluster without a master are refused") {
  CHECK(errors_of("kind: TroupeCluster\nnodes: [{name: a}]\n")[0].what.find("apiVersion") != std::string::npos);
  CHECK(errors_of(head)[0].what.find("\"nodes\" is missing") != std::string::npos);
  CHECK(errors_of(head + "nodes: [{name: a}, {name: a}]\n")[0].what.find("appears twice") != std::string::npos);
  CHECK(errors_of(head + "nodes: [{name: a, roles: [worker]}]\n")[0].what.find("role master") != std::string::npos);
  CHECK(errors_of(head + "nodes: [{name: a, name: b}]\n")[0].what.find("appears twice") != std::string::npos);
}

TEST_CASE("a second document is refused with its line") {
  const auto e = errors_of("# one\n---\n" + head + "nodes: [{name: a}]\n---\nx: 1\n");
  REQUIRE(e.size() == 1);
  CHECK(e[0].line == 6);
}

TEST_CASE("no input crashes the parser") {
  CHECK_NOTHROW(parse_cluster_config(",piVersion"));
  std::mt19937 rng{7};
  const std::string valid = head + "nodes:\n- name: a\n  roles: [master]\n  ports: {api: 1}\n";
  for (int i = 0; i < 3000; ++i) {
    auto text = valid;
    for (int k = 0; k < 4; ++k)
      text[rng() % text.size()] = static_cast<char>(rng() % 128);
    text.resize(rng() % (text.size() + 1));
    CHECK_NOTHROW(parse_cluster_config(text));
  }
}

TEST_CASE("the nearest word ignores case and refuses what is too far") {
  CHECK(nearest_word("Label", {"labels", "roles"}) == "labels");
  CHECK(nearest_word("xyzzy", {"labels", "roles"}) == std::nullopt);
}
