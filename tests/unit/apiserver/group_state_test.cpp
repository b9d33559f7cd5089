// Masters of a group: default/kubernetes, the directory of masters, health and metrics.
#include "api_group.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace std::chrono_literals;
using test::api_group;
using test::heard;

namespace {

std::set<std::string> addresses(api_group& g, std::uint64_t at = 1) {
  std::set<std::string> out;
  const auto doc = api_group::body(*g.call(at, "GET", "/api/v1/namespaces/default/endpoints/kubernetes"));
  for (const auto& s : jq::arr(doc, {"subsets"}))
    for (const auto& a : jq::arr(s, {"addresses"}))
      out.insert(std::string(jq::str(a, {"ip"})) + ":" +
                 std::to_string(jq::num(jq::arr(s, {"ports"}).at(0), {"port"})));
  return out;
}

std::size_t slices(api_group& g) {
  std::size_t n = 0;
  const auto doc = api_group::body(*g.call(1, "GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"));
  for (const auto& s : jq::arr(doc, {"items"}))
    n += jq::str(s, {"metadata", "labels", "kubernetes.io/service-name"}) == "kubernetes";
  return n;
}

using words = std::set<std::string>;

} // namespace

TEST_CASE("group: default/kubernetes leads to every master that is heard of") {
  api_group g;
  g.begin();
  CHECK(addresses(g) == words{"10.0.0.1:6443", "10.0.0.2:6443", "10.0.0.3:6443"});
  CHECK(slices(g) == 1);
  g.lab.seats[3].contact_ms = 60000;
  g.lab.step(2s);
  CHECK(addresses(g, 2) == words{"10.0.0.1:6443", "10.0.0.2:6443"});
  g.lab.seats[3].contact_ms = 5;
  g.lab.step(2s);
  CHECK(addresses(g).size() == 3);
}

TEST_CASE("group: after the leader has died the next one takes its address away") {
  api_group g;
  g.begin();
  g.lab.lead(2);
  g.lab.seats[1].contact_ms = 60000;
  g.lab.step(3s);
  CHECK(addresses(g, 2) == words{"10.0.0.2:6443", "10.0.0.3:6443"});
}

TEST_CASE("group: a master that was removed is gone from default/kubernetes; ports of their own get slices") {
  api_group g;
  g.begin();
  store::txn t;
  erase_master(t, *g.lab.at(1).view(), "m3");
  auto other = g.rows.at(1);
  other.api_port = 7443;
  put_master(t, *g.lab.at(1).view(), other);
  REQUIRE(g.lab.apply(t));
  g.lab.step(2s);
  CHECK(addresses(g) == words{"10.0.0.1:6443", "10.0.0.2:7443"});
  CHECK(slices(g) == 2);
  store::txn back;
  put_master(back, *g.lab.at(1).view(), g.rows.at(1));
  REQUIRE(g.lab.apply(back));
  g.lab.step(2s);
  CHECK(addresses(g) == words{"10.0.0.1:6443", "10.0.0.2:6443"});
  CHECK(slices(g) == 1);
}

TEST_CASE("group: a master that comes back with another address corrects its row, whoever leads") {
  api_group g;
  for (auto& m : g.members)
    m.s->options.self.address = m.s->options.self.name == "m2" ? "10.0.9.9" : m.s->options.self.address;
  g.begin();
  CHECK(find_master(*g.lab.at(1).view(), "m2")->address == "10.0.9.9");
  g.lab.step(2s);
  CHECK(addresses(g).count("10.0.9.9:6443") == 1);
}

TEST_CASE("group: a new leader finds everything in place and writes nothing") {
  api_group g;
  g.begin();
  const auto before = g.lab.at(1).view()->rev();
  g.lab.lead(2);
  g.lab.step(3s);
  g.lab.lead(3);
  g.lab.step(3s);
  CHECK(g.lab.at(1).view()->rev() == before);
}

TEST_CASE("group: readiness follows the group, life does not") {
  api_group g;
  g.begin();
  heard ready;
  g.http(2, "/readyz", "", ready);
  CHECK(ready.code() == 200);
  g.lab.leaderless();
  heard soon, late, alive, components;
  g.http(2, "/readyz", "", soon);
  CHECK(soon.code() == 200); // an election is over sooner
  g.lab.step(troupe::limits::leaderless_max + 100ms);
  g.http(2, "/readyz", "", late);
  CHECK(late.code() == 500);
  CHECK(late.text().find("[-]group failed: no leader is known") != std::string::npos);
  g.http(2, "/livez", "", alive);
  CHECK(alive.code() == 200);
  g.http(2, "/api/v1/componentstatuses/store", "resourceVersion=0", components);
  CHECK(components.text().find("no leader is known") != std::string::npos);
  g.lab.lead(3);
  g.lab.run();
  heard again;
  g.http(2, "/readyz", "", again);
  CHECK(again.code() == 200);
}

TEST_CASE("group: the figures of the group are among the metrics") {
  api_group g;
  g.begin();
  heard leader, follower;
  g.http(1, "/metrics", "", leader);
  CHECK(leader.text().find("troupe_raft_is_leader 1\n") != std::string::npos);
  CHECK(leader.text().find("troupe_raft_term 1\n") != std::string::npos);
  CHECK(leader.text().find("troupe_raft_commit_index ") != std::string::npos);
  g.lab.lead(3);
  g.lab.run();
  g.http(2, "/metrics", "", follower);
  CHECK(follower.text().find("troupe_raft_is_leader 0\n") != std::string::npos);
  CHECK(follower.text().find("troupe_raft_has_leader 1\n") != std::string::npos);
  CHECK(follower.text().find("troupe_raft_leader_changes_total 2\n") != std::string::npos);
}
