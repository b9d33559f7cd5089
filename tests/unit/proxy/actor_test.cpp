#include "actors/proxy/dns_actor.hpp"
#include "actors/proxy/proxy_actor.hpp"
#include "net/service/service_rules.hpp"
#include "tests/support/actor_lab.hpp"

#include <arpa/inet.h>
#include <caf/scoped_actor.hpp>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

/// Remembers what it was asked to load; fails on demand.
struct recorder {
  std::vector<std::vector<net::service_port>> loads;
  bool fail = false;
};

class recording_proxy final : public net::service_proxy {
public:
  explicit recording_proxy(std::shared_ptr<recorder> r) : r_(std::move(r)) {}
  result<void> apply(const std::vector<net::service_port>& wanted) override {
    if (r_->fail) return errors::unavailable("the kernel said no");
    r_->loads.push_back(wanted);
    return {};
  }
  result<void> remove_all() override { return {}; }
  const char* mode() const noexcept override { return "recording"; }

private:
  std::shared_ptr<recorder> r_;
};

struct proxy_lab : test::actor_lab {
  std::shared_ptr<recorder> rules = std::make_shared<recorder>();
  caf::actor proxy;

  void start(std::uint16_t health = 0) {
    proxy_options o;
    o.cluster_id = "lab";
    o.health_address = "127.0.0.1";
    o.health_port = health;
    o.make_rules = [r = rules] { return std::make_unique<recording_proxy>(r); };
    auto e = env("system:kube-proxy");
    e.node_name = "n1";
    proxy = spawn_proxy(system, e, o);
    run();
  }
  void put_service(const std::string& name, int port = 80) {
    api.put("services", R"({"apiVersion":"v1","kind":"Service","metadata":{"namespace":"demo","name":")" + name +
                            R"("},"spec":{"clusterIP":"10.96.0.7","ports":[{"port":)" + std::to_string(port) + "}]}}");
    run();
  }
  void put_slice(const std::string& address) {
    api.put("endpointslices.discovery.k8s.io",
            R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"namespace":"demo","name":"web-1",
                "labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4","ports":[{"name":"","port":8080}],
                "endpoints":[{"addresses":[")" +
                address + R"("]}]})");
    run();
  }
  json::value status() { return json::parse(ask<std::string>(proxy, proxy_status_atom::value)); }

  template <class R, class Atom>
  R ask(const caf::actor& whom, Atom question) {
    caf::scoped_actor self{system};
    auto request = self->request(whom, caf::infinite, question);
    run();
    R out{};
    request.receive([&](R& got) { out = std::move(got); }, [&](caf::error& e) { FAIL(system.render(e)); });
    return out;
  }
};

std::string http_get(std::uint16_t port, const std::string& path) {
  int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(s, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
  auto text = "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n";
  REQUIRE(::send(s, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  std::string out;
  char piece[4096];
  while (auto n = ::recv(s, piece, sizeof piece, 0)) {
    if (n < 0) break;
    out.append(piece, static_cast<std::size_t>(n));
  }
  ::close(s);
  return out;
}

} // namespace

TEST_CASE("proxy: what is there at the start is loaded once, later changes as they come") {
  proxy_lab lab;
  lab.put_service("web");
  lab.put_slice("10.244.0.2");
  lab.start();
  REQUIRE(lab.rules->loads.size() >= 1);
  CHECK(lab.rules->loads[0].size() == 1); // never half of the picture
  CHECK(lab.rules->loads[0][0].endpoints.size() == 1);
  lab.put_slice("10.244.0.3");
  CHECK(lab.rules->loads.back()[0].endpoints[0].address == "10.244.0.3");
  lab.api.erase("services", "demo", "web");
  lab.run();
  CHECK(lab.rules->loads.back().empty());
  CHECK(lab.ask<bool>(lab.proxy, proxy_flush_atom::value));
  lab.stop(lab.proxy);
}

TEST_CASE("proxy: an empty cluster still loads once, so that rules of a former process go") {
  proxy_lab lab;
  lab.start();
  REQUIRE(lab.rules->loads.size() == 1);
  CHECK(lab.rules->loads[0].empty());
  lab.stop(lab.proxy);
}

TEST_CASE("proxy: a failed load is told to health, events and status, and tried again with back-off") {
  proxy_lab lab;
  lab.rules->fail = true;
  lab.start();
  auto port = static_cast<std::uint16_t>(jq::num(lab.status(), {"health_port"}));
  CHECK(http_get(port, "/healthz").find("503") != std::string::npos);
  CHECK(jq::str(lab.status(), {"last_error"}) == "the kernel said no");
  CHECK(jq::num(lab.status(), {"failures"}) == 1);
  CHECK(lab.api.all("events").size() == 1);
  lab.step(1000ms);
  CHECK(jq::num(lab.status(), {"failures"}) == 2);
  lab.rules->fail = false;
  lab.step(1500ms);
  CHECK(lab.rules->loads.empty()); // two seconds have not passed
  lab.step(500ms);
  CHECK(lab.rules->loads.size() == 1);
  CHECK(http_get(port, "/healthz").find("200 OK") != std::string::npos);
  CHECK(http_get(port, "/metrics").find("troupe_proxy_loads_total 1") != std::string::npos);
  CHECK(http_get(port, "/nope").find("404") != std::string::npos);
  CHECK(jq::str(lab.status(), {"last_error"}).empty());
  lab.stop(lab.proxy);
}

TEST_CASE("dns: the Service and this node's slice are made once kube-system is there, and made again when lost") {
  proxy_lab lab;
  dns_options o;
  o.listen_address = "127.0.0.1";
  o.port = 0;
  o.service_address = "10.96.0.10";
  o.upstreams = {"127.0.0.1:1"};
  auto e = lab.env("system:dns");
  e.node_name = "n1";
  auto dns = spawn_dns(lab.system, e, o);
  lab.run();
  CHECK(lab.api.all("services").empty());
  lab.api.put("namespaces",
              std::string_view{R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system"}})"});
  lab.run();
  auto service = lab.api.doc("services", "kube-system", "kube-dns");
  CHECK(jq::str(service, {"spec", "clusterIP"}) == "10.96.0.10");
  auto slice = lab.api.doc("endpointslices.discovery.k8s.io", "kube-system", "kube-dns-n1");
  auto state = json::parse(lab.ask<std::string>(dns, dns_status_atom::value));
  CHECK(jq::arr(slice, {"ports"}).at(0).at("port") == state.at("port"));
  CHECK(lab.api.history("services").size() == 1);
  CHECK(lab.api.history("endpointslices.discovery.k8s.io").size() == 1);
  lab.api.erase("endpointslices.discovery.k8s.io", "kube-system", "kube-dns-n1");
  lab.run();
  CHECK(lab.api.get("endpointslices.discovery.k8s.io", "kube-system", "kube-dns-n1") != nullptr);
  lab.api.erase("services", "kube-system", "kube-dns");
  lab.run();
  CHECK(lab.api.get("services", "kube-system", "kube-dns") != nullptr);
  auto changed = lab.api.doc("endpointslices.discovery.k8s.io", "kube-system", "kube-dns-n1");
  jq::at(changed, {"endpoints"}) = json::array{};
  lab.api.put("endpointslices.discovery.k8s.io", changed);
  lab.run();
  changed = lab.api.doc("endpointslices.discovery.k8s.io", "kube-system", "kube-dns-n1");
  CHECK(jq::arr(changed, {"endpoints"}).size() == 1);
  lab.stop(dns);
}

TEST_CASE("dns: a refused write is tried again with back-off") {
  proxy_lab lab;
  lab.api.put("namespaces",
              std::string_view{R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system"}})"});
  bool refuse = true;
  lab.api.fail = [&](const request&) { return refuse; };
  dns_options o;
  o.listen_address = "127.0.0.1";
  o.port = 0;
  o.service_address = "10.96.0.10";
  o.upstreams = {"127.0.0.1:1"};
  auto e = lab.env("system:dns");
  e.node_name = "n1";
  auto dns = spawn_dns(lab.system, e, o);
  lab.run();
  lab.step(1000ms);
  CHECK(lab.api.all("services").empty());
  refuse = false;
  lab.step(2000ms);
  CHECK(lab.api.all("services").size() == 1);
  CHECK(lab.api.all("endpointslices.discovery.k8s.io").size() == 1);
  lab.stop(dns);
}
