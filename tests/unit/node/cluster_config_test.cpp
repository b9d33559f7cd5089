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
  CHECK(e[0].what.find("known keys are apiVersion, kind, name, network, raft, logging, nodes") != std::string::npos);
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

namespace {

const std::string three =
    "nodes:\n- {name: a, roles: [master]}\n- {name: b, roles: [master]}\n- {name: c, roles: [master]}\n";

cluster_config config_of(const std::string& text) {
  auto parsed = parse_cluster_config(text);
  REQUIRE(parsed.index() == 0);
  return std::get<0>(parsed);
}

} // namespace

TEST_CASE("the raft section reads durations and has the defaults of a data centre") {
  const auto plain = config_of(head + three);
  CHECK(plain.raft.heartbeat == std::chrono::milliseconds{50});
  CHECK(plain.raft.election_timeout == std::chrono::milliseconds{500});
  CHECK_FALSE(plain.raft.lease_reads);
  const auto set =
      config_of(head + "raft: {heartbeat: 100ms, electionTimeout: 2s, leaseReads: true, checkEvery: 5m}\n" + three);
  CHECK(set.raft.heartbeat == std::chrono::milliseconds{100});
  CHECK(set.raft.election_timeout == std::chrono::seconds{2});
  CHECK(set.raft.lease_reads);
  CHECK(set.raft.check_every == std::chrono::minutes{5});
}

TEST_CASE("a duration without a unit, out of bounds or not whole is refused with its place") {
  auto e = errors_of(head + "raft: {heartbeat: 50}\n" + three);
  REQUIRE(e.size() == 1);
  CHECK(e[0].line == 3);
  CHECK(e[0].what.find("expected a duration from 5ms to 10s") != std::string::npos);
  CHECK(errors_of(head + "raft: {heartbeat: 1ms}\n" + three).size() == 1);
  CHECK(errors_of(head + "raft: {checkEvery: 1500ms}\n" + three).size() == 1);
  CHECK(errors_of(head + "raft: {leaseReads: maybe}\n" + three).size() == 1);
}

TEST_CASE("an election timeout near the heartbeat is refused, since one lost message would depose the leader") {
  const auto e = errors_of(head + "raft: {heartbeat: 200ms}\n" + three);
  REQUIRE(e.size() == 1);
  CHECK(e[0].what.find("at least 5 times raft.heartbeat") != std::string::npos);
}

TEST_CASE("an odd number of masters is taken silently, an even one with a warning that says why odd is better") {
  CHECK(config_of(head + three).warnings.empty());
  const auto even = config_of(head + three + "- {name: d, roles: [master]}\n");
  REQUIRE(even.warnings.size() == 1);
  CHECK(even.warnings[0].line == 4);
  CHECK(even.warnings[0].what.find("4 masters tolerate the loss of 1, no more than 3 would") != std::string::npos);
  CHECK(even.masters() == 4);
}

TEST_CASE("addresses are given to every node or to none") {
  const auto e = errors_of(head + "nodes:\n- {name: a, address: 192.0.2.1}\n- {name: b}\n");
  REQUIRE(e.size() == 1);
  CHECK(e[0].what.find("give every node the address") != std::string::npos);
  const auto c =
      config_of(head + "nodes:\n- {name: a, address: 192.0.2.1, priority: 3}\n- {name: b, address: 192.0.2.2, "
                       "roles: [worker]}\n");
  CHECK(c.nodes[0].address == "192.0.2.1");
  CHECK(c.nodes[0].priority == 3);
  CHECK(c.node("b")->address == "192.0.2.2");
  CHECK(c.node("x") == nullptr);
  CHECK(errors_of(head + "nodes: [{name: a, address: 127.0.0.1}]\n").size() == 1);
}

TEST_CASE("nodes that share an address need ports of their own") {
  const auto e =
      errors_of(head + "nodes:\n- {name: a, address: 192.0.2.1}\n- {name: b, address: 192.0.2.1, roles: [worker]}\n");
  REQUIRE(e.size() == 1);
  CHECK(e[0].line == 5);
  const auto c =
      config_of(head + "nodes:\n- {name: a, address: 192.0.2.1}\n- {name: b, address: 192.0.2.1, roles: [worker], "
                       "ports: {api: 1, actors: 2, proxyHealth: 3}}\n");
  CHECK(c.nodes.size() == 2);
}
