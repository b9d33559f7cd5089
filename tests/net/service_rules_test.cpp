#include "net/dns/dns_server.hpp"
#include "net/packet/namespace.hpp"
#include "net/pod/network.hpp"
#include "net/service/service_rules.hpp"
#include "tests/net/scratch_host.hpp"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <functional>
#include <ldns/ldns.h>
#include <map>
#include <set>
#include <unistd.h>

using namespace troupe;
using namespace troupe::testing;

namespace {

const net::proxy_config rules_config{"nettest", "10.244.0.0/16", "10.96.0.0/12"};

std::unique_ptr<net::service_proxy> make(const std::string& mode) {
  return net::make_service_proxy(rules_config, mode);
}

/// A host with an outside, a pod network and some pods that answer on TCP and UDP 80.
struct stage {
  scratch_host host{true};
  std::string leases = "/tmp/troupe-net-rules-" + std::to_string(::getpid()) + ".leases";
  std::shared_ptr<net::pod_network> network;
  std::vector<scratch_pod> pods;
  std::vector<std::string> addresses;

  explicit stage(int count) {
    network = net::make_bridge_network(
        {"troupe-nettest", "10.244.0.0/24", "10.244.0.0/16", "10.96.0.0/12", leases, "TROUPE-NETTEST", 1500});
    REQUIRE(network->up().has_value());
    for (int i = 0; i < count; ++i) {
      pods.emplace_back("p" + std::to_string(i));
      auto got = network->attach("uid-" + std::to_string(i), pods.back().netns());
      REQUIRE(got.has_value());
      addresses.push_back(*got);
      pods.back().serve({80});
    }
  }
  ~stage() { ::unlink(leases.c_str()); }
  net::service_endpoint endpoint(std::size_t i, bool local = true) const { return {addresses[i], 80, local}; }
};

net::service_port service(const std::string& name, const std::string& ip, std::vector<net::service_endpoint> to,
                          const std::string& protocol = "tcp") {
  net::service_port s;
  s.ns = "demo";
  s.name = name;
  s.port_name = "http";
  s.protocol = protocol;
  s.cluster_ip = ip;
  s.port = 8000;
  s.endpoints = std::move(to);
  return s;
}

void apply(net::service_proxy& p, const std::vector<net::service_port>& wanted) {
  auto done = p.apply(wanted);
  REQUIRE_MESSAGE(done.has_value(), done.error().message);
}

std::map<std::string, int> tally(int rounds, const std::function<reply()>& ask) {
  std::map<std::string, int> out;
  for (int i = 0; i < rounds; ++i) {
    auto r = ask();
    ++out[r.error ? "error " + std::to_string(r.error) : r.text];
  }
  return out;
}

std::string saved(const std::string& mode) {
  return mode == "nftables" ? output_of("nft list ruleset") : output_of("iptables-save -c");
}

/// The first address that a stub resolver inside the namespace gets.
std::string lookup(const std::string& netns, const std::string& server, const std::string& name, bool tcp) {
  std::string out;
  auto entered = net::in_namespace(netns, [&] {
    std::unique_ptr<ldns_resolver, decltype(&ldns_resolver_free)> r{ldns_resolver_new(), &ldns_resolver_free};
    auto* address = ldns_rdf_new_frm_str(LDNS_RDF_TYPE_A, server.c_str());
    ldns_resolver_push_nameserver(r.get(), address);
    ldns_rdf_deep_free(address);
    ldns_resolver_set_usevc(r.get(), tcp);
    ldns_resolver_set_timeout(r.get(), {2, 0});
    ldns_resolver_set_retry(r.get(), 1);
    auto* question = ldns_dname_new_frm_str(name.c_str());
    auto* answer = ldns_resolver_query(r.get(), question, LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN, LDNS_RD);
    ldns_rdf_deep_free(question);
    if (answer && ldns_pkt_ancount(answer) > 0) {
      char* text = ldns_rdf2str(ldns_rr_a_address(ldns_rr_list_rr(ldns_pkt_answer(answer), 0)));
      out = text;
      std::free(text);
    }
    if (answer) ldns_pkt_free(answer);
  });
  REQUIRE(entered.has_value());
  return out;
}

const std::vector<std::string> modes{"iptables", "nftables"};

} // namespace

TEST_CASE("a cluster IP balances over its pods, from the host and from pods") {
  if (!can_make_namespaces()) return;
  for (const auto& mode : modes) {
    CAPTURE(mode);
    stage st{3};
    auto p = make(mode);
    CHECK(std::string{p->mode()} == mode);
    apply(*p, {service("web", "10.96.0.10", {st.endpoint(0), st.endpoint(1), st.endpoint(2)})});
    auto from_host = tally(90, [] { return ask_tcp("", "10.96.0.10", 8000); });
    auto from_pod = tally(90, [&] { return ask_tcp(st.pods[0].netns(), "10.96.0.10", 8000); });
    for (const auto& got : {from_host, from_pod}) {
      CHECK(got.size() == 3); // p0, p1, p2 and no error: the pod also reaches itself
      for (const auto& [who, times] : got)
        CHECK_MESSAGE(times >= 10, who);
    }
    // A pod sees who calls: another pod keeps its address, itself is seen as the host.
    for (int i = 0; i < 20; ++i) {
      auto r = ask_tcp(st.pods[0].netns(), "10.96.0.10", 8000);
      CHECK(r.peer == (r.text == "p0" ? st.network->gateway() : st.addresses[0]));
    }
    CHECK(ask_udp("", "10.96.0.10", 8000).error != 0); // another protocol is not this Service
  }
}

TEST_CASE("UDP follows its endpoints: a flow of a pod that left goes on to another") {
  if (!can_make_namespaces()) return;
  for (const auto& mode : modes) {
    CAPTURE(mode);
    stage st{2};
    auto p = make(mode);
    apply(*p, {service("dns", "10.96.0.10", {st.endpoint(0)}, "udp")});
    CHECK(ask_udp("", "10.96.0.10", 8000, 5555).text == "p0");
    apply(*p, {service("dns", "10.96.0.10", {st.endpoint(1)}, "udp")});
    CHECK(ask_udp("", "10.96.0.10", 8000, 5555).text == "p1"); // same source port: the flow was forgotten
    CHECK(ask_udp(st.pods[0].netns(), "10.96.0.10", 8000, 5556).text == "p1");
    // The proxy dies, endpoints change, a new one starts: the flow still leads to a pod that is no endpoint.
    auto next = make(mode);
    apply(*next, {service("dns", "10.96.0.10", {st.endpoint(0)}, "udp")});
    CHECK(ask_udp("", "10.96.0.10", 8000, 5555).text == "p0");
  }
}

TEST_CASE("a Service without endpoints refuses at once") {
  if (!can_make_namespaces()) return;
  for (const auto& mode : modes) {
    CAPTURE(mode);
    stage st{1};
    auto p = make(mode);
    auto s = service("web", "10.96.0.10", {});
    s.node_port = 30080;
    s.external_ips = {"192.0.2.1"};
    apply(*p, {s});
    CHECK(ask_tcp("", "10.96.0.10", 8000).error == ECONNREFUSED);
    CHECK(ask_tcp(st.pods[0].netns(), "10.96.0.10", 8000).error == ECONNREFUSED);
    CHECK(ask_tcp("", "127.0.0.1", 30080).error == ECONNREFUSED);
    CHECK(ask_tcp(st.host.outside_path(), "192.0.2.1", 30080).error == ECONNREFUSED);
    CHECK(ask_tcp(st.host.outside_path(), "192.0.2.1", 8000).error == ECONNREFUSED);
    CHECK(ask_udp("", "10.96.0.10", 8000).error != 0);
    s.endpoints = {st.endpoint(0)};
    apply(*p, {s});
    CHECK(ask_tcp("", "10.96.0.10", 8000).text == "p0");
    CHECK(ask_tcp(st.host.outside_path(), "192.0.2.1", 8000).text == "p0");
  }
}

TEST_CASE("a node port answers on every address of the host and from outside") {
  if (!can_make_namespaces()) return;
  for (const auto& mode : modes) {
    CAPTURE(mode);
    stage st{2};
    auto p = make(mode);
    auto s = service("web", "10.96.0.10", {st.endpoint(0), st.endpoint(1)});
    s.node_port = 30080;
    apply(*p, {s});
    for (const char* address : {"127.0.0.1", "192.0.2.1", "10.244.0.1"}) {
      CAPTURE(address);
      auto got = tally(30, [&] { return ask_tcp("", address, 30080); });
      CHECK(got.size() == 2);
      CHECK(ask_tcp(st.pods[0].netns(), address == std::string{"127.0.0.1"} ? "192.0.2.1" : address, 30080).error == 0);
    }
    auto outside = tally(30, [&] { return ask_tcp(st.host.outside_path(), "192.0.2.1", 30080); });
    CHECK(outside.size() == 2);
    CHECK(outside.count("p0") == 1);
    CHECK(ask_tcp(st.host.outside_path(), "192.0.2.1", 30080).peer == "10.244.0.1"); // policy Cluster masquerades
    CHECK(ask_tcp(st.host.outside_path(), "192.0.2.1", 30081).error == ECONNREFUSED);
  }
}

TEST_CASE("traffic policy Local keeps to this node's pods and shows them the client's address") {
  if (!can_make_namespaces()) return;
  for (const auto& mode : modes) {
    CAPTURE(mode);
    stage st{3};
    auto p = make(mode);
    auto s = service("web", "10.96.0.10", {st.endpoint(0, true), st.endpoint(1, false), st.endpoint(2, false)});
    s.node_port = 30080;
    s.external_local = true;
    apply(*p, {s});
    auto outside = tally(12, [&] { return ask_tcp(st.host.outside_path(), "192.0.2.1", 30080); });
    CHECK(outside.size() == 1);
    CHECK(outside["p0"] == 12);
    CHECK(ask_tcp(st.host.outside_path(), "192.0.2.1", 30080).peer == "192.0.2.2");
    CHECK(tally(40, [] { return ask_tcp("", "10.96.0.10", 8000); }).size() == 3);
    CHECK(tally(40, [&] { return ask_tcp(st.pods[1].netns(), "192.0.2.1", 30080); }).size() == 3);
    s.internal_local = true;
    apply(*p, {s});
    CHECK(tally(12, [] { return ask_tcp("", "10.96.0.10", 8000); })["p0"] == 12);
  }
}

TEST_CASE("session affinity keeps a client on its pod across other changes") {
  if (!can_make_namespaces()) return;
  for (const auto& mode : modes) {
    CAPTURE(mode);
    stage st{3};
    auto p = make(mode);
    auto s = service("web", "10.96.0.10", {st.endpoint(0), st.endpoint(1), st.endpoint(2)});
    s.affinity_seconds = 600;
    apply(*p, {s});
    auto mine = ask_tcp("", "10.96.0.10", 8000).text;
    CHECK(tally(20, [] { return ask_tcp("", "10.96.0.10", 8000); })[mine] == 20);
    apply(*p, {s, service("other", "10.96.0.11", {st.endpoint(0)})});
    CHECK(tally(20, [] { return ask_tcp("", "10.96.0.10", 8000); })[mine] == 20);
    // Its pod leaves: another takes over, and keeps it.
    std::erase_if(s.endpoints, [&](const auto& e) { return st.addresses[mine[1] - '0'] == e.address; });
    apply(*p, {s});
    auto next = ask_tcp("", "10.96.0.10", 8000).text;
    CHECK(next != mine);
    CHECK(tally(20, [] { return ask_tcp("", "10.96.0.10", 8000); })[next] == 20);
  }
}

TEST_CASE("only rules that changed are touched: counters of the others go on") {
  if (!can_make_namespaces()) return;
  stage st{2};
  auto p = make("iptables");
  auto a = service("a", "10.96.0.10", {st.endpoint(0)}), b = service("b", "10.96.0.11", {st.endpoint(0)});
  apply(*p, {a, b});
  for (int i = 0; i < 7; ++i)
    CHECK(ask_tcp("", "10.96.0.10", 8000).error == 0);
  auto counted = [](const std::string& words) {
    auto text = output_of("iptables-save -c -t nat | grep -F '" + words + "' | head -1");
    return text.substr(0, text.find(':'));
  };
  REQUIRE(counted("demo/a:http cluster IP") == "[7");
  b.endpoints.push_back(st.endpoint(1));
  apply(*p, {a, b, service("c", "10.96.0.12", {st.endpoint(1)})});
  CHECK(counted("demo/a:http cluster IP") == "[7");
  apply(*p, {a});
  CHECK(counted("demo/a:http cluster IP") == "[7");
  // A new process finds the kernel as it should be and leaves it alone.
  auto next = make("iptables");
  apply(*next, {a});
  CHECK(counted("demo/a:http cluster IP") == "[7");
  CHECK(ask_tcp("", "10.96.0.10", 8000).text == "p0");
}

TEST_CASE("an apply without change sends nothing to the kernel") {
  if (!can_make_namespaces()) return;
  stage st{2};
  auto p = make("nftables");
  auto a = service("a", "10.96.0.10", {st.endpoint(0), st.endpoint(1)}),
       b = service("b", "10.96.0.11", {st.endpoint(0)});
  a.affinity_seconds = 60;
  apply(*p, {a, b});
  auto handles = [] { return output_of("nft -a list ruleset"); };
  auto before = handles();
  apply(*p, {a, b});
  CHECK(handles() == before);
  // A new process reads the table back and finds nothing to do: rule handles stay.
  auto next = make("nftables");
  apply(*next, {a, b});
  CHECK(handles() == before);
  auto chain_of_b = [&](const std::string& all) {
    auto at = all.find("demo/b:http");
    return all.substr(at, all.find('}', at) - at);
  };
  a.endpoints.pop_back();
  apply(*next, {a, b});
  CHECK(handles() != before);
  CHECK(chain_of_b(handles()) == chain_of_b(before));
}

TEST_CASE("a new process repairs what the former one left half done") {
  if (!can_make_namespaces()) return;
  for (const auto& mode : modes) {
    CAPTURE(mode);
    stage st{2};
    auto a = service("a", "10.96.0.10", {st.endpoint(0)}), b = service("b", "10.96.0.11", {st.endpoint(1)});
    a.affinity_seconds = 60;
    apply(*make(mode), {a, b});
    if (mode == "iptables") {
      output_of("iptables -t nat -F TROUPE-NETTEST-SERVICES; iptables -t nat -D OUTPUT -j TROUPE-NETTEST-SERVICES");
    } else {
      output_of("nft flush chain ip troupe-nettest-services services");
    }
    CHECK(ask_tcp("", "10.96.0.10", 8000).error != 0);
    a.endpoints = {st.endpoint(1)};
    apply(*make(mode), {a});
    CHECK(ask_tcp("", "10.96.0.10", 8000).text == "p1");
    CHECK(ask_tcp(st.pods[0].netns(), "10.96.0.10", 8000).text == "p1");
    CHECK(saved(mode).find("demo/b") == std::string::npos); // b went while nobody looked
  }
}

TEST_CASE("remove_all leaves nothing of this cluster and everything of another") {
  if (!can_make_namespaces()) return;
  for (const auto& mode : modes) {
    CAPTURE(mode);
    stage st{1};
    auto other = net::make_service_proxy({"other", "10.244.0.0/16", "10.96.0.0/12"}, mode);
    apply(*other, {service("web", "10.96.1.10", {st.endpoint(0)})});
    auto before = output_of("iptables-save; nft list table ip troupe-other-services");
    auto p = make(mode);
    auto s = service("web", "10.96.0.10", {st.endpoint(0)});
    s.node_port = 30080;
    apply(*p, {s, service("none", "10.96.0.11", {})});
    REQUIRE(make(mode)->remove_all().has_value()); // a process that never applied anything
    REQUIRE(make(mode)->remove_all().has_value());
    auto strip = [](std::string text) {
      std::string out;
      for (std::size_t at = 0; at < text.size();) {
        auto end = text.find('\n', at);
        auto line = text.substr(at, end - at);
        if (!line.starts_with("#") && !line.starts_with(":")) out += line + '\n';
        at = end == text.npos ? text.size() : end + 1;
      }
      return out;
    };
    CHECK(strip(output_of("iptables-save; nft list table ip troupe-other-services")) == strip(before));
    CHECK(output_of("iptables-save").find("TROUPE-NETTEST-S") == std::string::npos);
    CHECK(output_of("nft list tables").find("troupe-nettest-services") == std::string::npos);
    CHECK(ask_tcp("", "10.96.1.10", 8000).text == "p0");
    CHECK(ask_tcp("", "10.96.0.10", 8000).error != 0);
  }
}

TEST_CASE("pods reach cluster DNS through its Service on a host whose firewall refuses strangers") {
  if (!can_make_namespaces()) return;
  for (const auto& mode : modes) {
    CAPTURE(mode);
    stage st{1};
    output_of("iptables -P INPUT DROP; iptables -A INPUT -i lo -j ACCEPT");
    REQUIRE(st.network->up().has_value()); // meets the firewall
    net::dns_config c;
    c.address = st.network->gateway();
    c.port = 0;
    auto dns = net::start_dns_server(c);
    REQUIRE(dns.has_value());
    (*dns)->replace({{"demo", "web", "10.96.0.7", "", {}, {}}}, {"demo"});
    auto udp = service("dns", "10.96.0.10", {{st.network->gateway(), (*dns)->port(), true}}, "udp");
    auto tcp = service("dns-tcp", "10.96.0.10", {{st.network->gateway(), (*dns)->port(), true}});
    udp.port = tcp.port = 53;
    auto p = make(mode);
    apply(*p, {udp, tcp});
    for (const char* how : {"", "vc"}) {
      CAPTURE(how);
      auto said = lookup(st.pods[0].netns(), "10.96.0.10", "web.demo.svc.cluster.local", *how != 0);
      CHECK(said == "10.96.0.7");
    }
    CHECK(ask_tcp(st.pods[0].netns(), st.network->gateway(), (*dns)->port()).error != 0); // not past the firewall
  }
}

TEST_CASE("thousands of Services load in one transaction and change one by one") {
  if (!can_make_namespaces()) return;
  for (const auto& mode : modes) {
    CAPTURE(mode);
    stage st{1};
    std::vector<net::service_port> many;
    for (int i = 0; i < 2000; ++i) {
      auto ip = "10.97." + std::to_string(i / 200) + '.' + std::to_string(i % 200 + 1);
      many.push_back(service("s" + std::to_string(i), ip, {st.endpoint(0), {"10.244.9.9", 80, false}}));
    }
    auto p = make(mode);
    auto time = [&](const char* what, const std::vector<net::service_port>& wanted) {
      auto begin = std::chrono::steady_clock::now();
      apply(*p, wanted);
      auto took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
      std::printf("%s %s: %.1f ms\n", mode.c_str(), what, took);
    };
    time("2000 services", many);
    many[7].endpoints = {st.endpoint(0)};
    time("one changed", many);
    CHECK(ask_tcp("", "10.97.0.8", 8000).text == "p0");
    p = make(mode);
    time("reconcile", many);
    many.pop_back();
    time("one removed", many);
    REQUIRE(p->remove_all().has_value());
  }
}
