#include "net/pod/network.hpp"
#include "tests/net/scratch_host.hpp"

#include <chrono>
#include <cstdio>
#include <doctest/doctest.h>
#include <fstream>
#include <set>
#include <thread>
#include <unistd.h>

using namespace troupe;
using namespace troupe::testing;

namespace {

struct scratch_file {
  std::string path = "/tmp/troupe-net-test-" + std::to_string(::getpid()) + ".leases";
  ~scratch_file() { ::unlink(path.c_str()); }
};

net::pod_network_config config_of(const scratch_file& f, const std::string& pods = "10.244.0.0/24") {
  return {"troupe-nettest", pods, "10.244.0.0/16", "10.96.0.0/12", f.path, "TROUPE-NETTEST", 1500};
}

} // namespace

TEST_CASE("pods reach each other, the host and the outside; the host reaches pods") {
  if (!can_make_namespaces()) return;
  scratch_host host{true};
  scratch_file leases;
  auto net = net::make_bridge_network(config_of(leases));
  auto up = net->up();
  REQUIRE_MESSAGE(up.has_value(), up.error().message);
  scratch_pod a{"a"}, b{"b"};
  auto at_a = net->attach("uid-a", a.netns()), at_b = net->attach("uid-b", b.netns());
  REQUIRE_MESSAGE(at_a.has_value(), at_a.error().message);
  REQUIRE(at_b.has_value());
  CHECK(*at_a == "10.244.0.2");
  CHECK(*at_b == "10.244.0.3");
  CHECK(net->gateway() == "10.244.0.1");
  a.serve({80});
  b.serve({80});
  CHECK(ask_tcp("", *at_a, 80).text == "a");
  auto from_pod = ask_tcp(a.netns(), *at_b, 80);
  CHECK(from_pod.text == "b");
  CHECK(from_pod.peer == *at_a);
  CHECK(ask_tcp(a.netns(), "127.0.0.1", 80).text == "a");
  auto away = ask_tcp(a.netns(), "192.0.2.2", 8080);
  CHECK(away.text == "outside");
  CHECK(away.peer == "192.0.2.1"); // masqueraded
  CHECK(net->attach("uid-a", a.netns()).value() == *at_a);
  CHECK(ask_tcp("", *at_a, 80).text == "a");
  REQUIRE(net->detach("uid-a").has_value());
  CHECK(net->address("uid-a").empty());
  CHECK(ask_tcp("", *at_a, 80).error != 0);
  REQUIRE(net->down().has_value());
}

TEST_CASE("forwarded pod traffic passes a FORWARD chain that drops by default") {
  if (!can_make_namespaces()) return;
  for (std::string backend : {"nft", "legacy"}) {
    CAPTURE(backend);
    scratch_host host{true};
    scratch_file leases;
    REQUIRE(output_of("iptables-" + backend + " -P FORWARD DROP").empty());
    auto net = net::make_bridge_network(config_of(leases));
    REQUIRE(net->up().has_value());
    REQUIRE(net->up().has_value());
    scratch_pod a{"a"}, b{"b"};
    REQUIRE(net->attach("uid-a", a.netns()).has_value());
    auto at_b = net->attach("uid-b", b.netns());
    b.serve({80});
    CHECK(ask_tcp(a.netns(), *at_b, 80).text == "b");
    CHECK(ask_tcp(a.netns(), "192.0.2.2", 8080).text == "outside");
    auto rules = output_of("iptables-" + backend + "-save");
    auto first = rules.find("-A FORWARD -j TROUPE-NETTEST-FWD");
    CHECK(first != rules.npos);
    CHECK(rules.find("-A FORWARD -j TROUPE-NETTEST-FWD", first + 1) == rules.npos); // up twice, one jump
    REQUIRE(net->down().has_value());
    CHECK(output_of("iptables-" + backend + "-save").find("TROUPE") == std::string::npos);
    CHECK(output_of("iptables-" + backend + " -S FORWARD").find("DROP") != std::string::npos); // theirs stays
  }
}

TEST_CASE("what is left on the host after down is nothing of ours and everything of others") {
  if (!can_make_namespaces()) return;
  scratch_host host{true};
  scratch_file leases;
  REQUIRE(output_of("nft add table ip troupe-other-pods").empty());
  auto net = net::make_bridge_network(config_of(leases));
  REQUIRE(net->up().has_value());
  scratch_pod a{"a"};
  REQUIRE(net->attach("uid-a", a.netns()).has_value());
  REQUIRE(net->down().has_value());
  REQUIRE(net->down().has_value());
  CHECK(output_of("nft list ruleset").find("nettest") == std::string::npos);
  CHECK(output_of("nft list ruleset").find("troupe-other-pods") != std::string::npos);
  CHECK(output_of("ip link").find("troupe") == std::string::npos);
  CHECK(output_of("ip link").find("uplink") != std::string::npos);
  CHECK(::access(leases.path.c_str(), F_OK) != 0);
}

TEST_CASE("a restart keeps the addresses of running pods, even when the address file is lost") {
  if (!can_make_namespaces()) return;
  scratch_host host;
  scratch_file leases;
  scratch_pod a{"a"}, b{"b"};
  a.serve({80});
  std::string at_a, at_b;
  {
    auto net = net::make_bridge_network(config_of(leases));
    REQUIRE(net->up().has_value());
    at_a = net->attach("uid-a", a.netns()).value();
    at_b = net->attach("uid-b", b.netns()).value();
  }
  {
    auto net = net::make_bridge_network(config_of(leases));
    REQUIRE(net->up().has_value());
    CHECK(net->address("uid-a") == at_a);
    CHECK(net->address("uid-b") == at_b);
    CHECK(ask_tcp("", at_a, 80).text == "a");
    net->keep_only({"uid-a"});
    CHECK(net->address("uid-b").empty());
  }
  ::unlink(leases.path.c_str());
  std::ofstream{leases.path} << "+ \n\x01garbage\n+ uid-z 1.2.3\n+ uid-y 10.99.0.1\n+ uid-x"; // torn and foreign
  auto net = net::make_bridge_network(config_of(leases));
  REQUIRE(net->up().has_value());
  CHECK(net->address("uid-a") == at_a);
  CHECK(net->address("uid-y").empty());
  REQUIRE(net->down().has_value());
}

TEST_CASE("an exhausted pool is refused with 507 and recovers when a pod leaves") {
  if (!can_make_namespaces()) return;
  scratch_host host;
  scratch_file leases;
  auto net = net::make_bridge_network(config_of(leases, "10.244.0.0/29"));
  REQUIRE(net->up().has_value());
  std::vector<scratch_pod> pods;
  for (int i = 0; i < 5; ++i) {
    pods.emplace_back("p" + std::to_string(i));
    REQUIRE(net->attach("uid-" + std::to_string(i), pods.back().netns()).has_value());
  }
  pods.emplace_back("late");
  auto refused = net->attach("uid-late", pods.back().netns());
  REQUIRE(refused.has_error());
  CHECK(refused.error().code == 507);
  CHECK(refused.error().message.find("all 5 addresses of 10.244.0.0/29") != std::string::npos);
  REQUIRE(net->detach("uid-3").has_value());
  CHECK(net->attach("uid-late", pods.back().netns()).value() == "10.244.0.5");
  REQUIRE(net->down().has_value());
}

TEST_CASE("many pods attach at once, each with an address of its own, in a few milliseconds each") {
  if (!can_make_namespaces()) return;
  scratch_host host;
  scratch_file leases;
  auto net = net::make_bridge_network(config_of(leases));
  REQUIRE(net->up().has_value());
  std::vector<scratch_pod> pods;
  for (int i = 0; i < 24; ++i)
    pods.emplace_back("p");
  std::vector<std::string> got(pods.size());
  auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < pods.size(); i += 4)
        if (auto a = net->attach("uid-" + std::to_string(i), pods[i].netns())) got[i] = *a;
    });
  for (auto& t : threads)
    t.join();
  auto took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  std::printf("attach: %.2f ms each\n", took / static_cast<double>(pods.size()));
  CHECK(std::set<std::string>(got.begin(), got.end()).size() == pods.size());
  CHECK(!std::set<std::string>(got.begin(), got.end()).contains(""));
  REQUIRE(net->down().has_value());
}

TEST_CASE("an attach that cannot be made gives its address back") {
  if (!can_make_namespaces()) return;
  scratch_host host;
  scratch_file leases;
  auto net = net::make_bridge_network(config_of(leases));
  CHECK(net->attach("uid-early", "/proc/self/ns/net").error().code == 503); // before up
  REQUIRE(net->up().has_value());
  auto refused = net->attach("uid-a", "/proc/0/ns/net");
  REQUIRE(refused.has_error());
  CHECK(refused.error().message.find("/proc/0/ns/net") != std::string::npos);
  CHECK(net->address("uid-a").empty());
  REQUIRE(net->down().has_value());
  CHECK(net::make_bridge_network(
            {.bridge = "much-too-long-a-name", .pod_cidr = "10.0.0.0/24", .cluster_cidr = "10.0.0.0/8"})
            ->up()
            .has_error());
  CHECK(net::make_bridge_network({.bridge = "b", .pod_cidr = "10.0.0.0/33"})->up().has_error());
}

TEST_CASE("a pod range that another device holds is refused with its name; a wider network around it is fine") {
  if (!can_make_namespaces()) return;
  scratch_host host{true};
  scratch_file leases;
  auto wide = output_of("ip addr add 10.244.7.1/8 dev uplink");
  auto net = net::make_bridge_network(config_of(leases));
  REQUIRE(net->up().has_value());
  auto first = config_of(leases);
  first.bridge = "troupe-second";
  auto refused = net::make_bridge_network(first)->up();
  REQUIRE(refused.has_error());
  CHECK(refused.error().message.find("troupe-nettest has 10.244.0.1") != std::string::npos);
  REQUIRE(net->down().has_value());
}
