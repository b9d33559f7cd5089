#include "actors/proxy/dns_actor.hpp"
#include "actors/proxy/dns_core.hpp"
#include "actors/proxy/proxy_core.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

json::value service_doc(const std::string& extra = "") {
  return json::parse(R"({"metadata":{"namespace":"demo","name":"web"},"spec":{"type":"NodePort","clusterIP":"10.96.0.7",
    "ports":[{"name":"http","protocol":"TCP","port":80,"nodePort":30080}])" +
                     extra + "}}");
}

json::value slice_doc(const std::string& endpoints, const std::string& ports = R"([{"name":"http","port":8080}])") {
  return json::parse(R"({"metadata":{"namespace":"demo","name":"web-1","labels":{"kubernetes.io/service-name":"web"}},
    "addressType":"IPv4","ports":)" +
                     ports + R"(,"endpoints":)" + endpoints + "}");
}

const service_key key{"demo", "web"};

std::vector<net::service_port> rules(const json::value& service, const json::value& slice) {
  service_map_core m{"n1"};
  m.index.put_service(key, read_service(service));
  m.index.put_slice("demo", "web-1", read_slice(slice));
  return m.compile();
}

} // namespace

TEST_CASE("a Service and its slice become rules with local and remote endpoints") {
  auto out = rules(service_doc(R"(,"externalIPs":["192.0.2.7"],"sessionAffinity":"ClientIP",
                                    "externalTrafficPolicy":"Local")"),
                   slice_doc(R"([{"addresses":["10.244.0.2"],"nodeName":"n1","conditions":{"ready":true}},
                                 {"addresses":["10.244.1.2"],"nodeName":"n2","conditions":{}},
                                 {"addresses":["10.244.1.3"],"nodeName":"n2","conditions":{"ready":false}}])"));
  REQUIRE(out.size() == 1);
  CHECK(out[0].cluster_ip == "10.96.0.7");
  CHECK(out[0].protocol == "tcp");
  CHECK(out[0].node_port == 30080);
  CHECK(out[0].external_ips == std::vector<std::string>{"192.0.2.7"});
  CHECK(out[0].affinity_seconds == 10800);
  CHECK(out[0].external_local);
  CHECK(!out[0].internal_local);
  REQUIRE(out[0].endpoints.size() == 2);
  CHECK(out[0].endpoints[0] == net::service_endpoint{"10.244.0.2", 8080, true});
  CHECK(out[0].endpoints[1] == net::service_endpoint{"10.244.1.2", 8080, false});
}

TEST_CASE("pods that are closing but still serve are used while nobody is ready") {
  auto closing = R"([{"addresses":["10.244.0.2"],"conditions":{"ready":false,"serving":true,"terminating":true}}])";
  CHECK(rules(service_doc(), slice_doc(closing)).at(0).endpoints.size() == 1);
  auto both = R"([{"addresses":["10.244.0.2"],"conditions":{"ready":false,"serving":true,"terminating":true}},
                  {"addresses":["10.244.0.3"],"conditions":{"ready":true}}])";
  auto out = rules(service_doc(), slice_doc(both)).at(0).endpoints;
  REQUIRE(out.size() == 1);
  CHECK(out[0].address == "10.244.0.3");
}

TEST_CASE("ports are joined by name and protocol") {
  auto one = R"([{"addresses":["10.244.0.2"]}])";
  CHECK(rules(service_doc(), slice_doc(one, R"([{"name":"other","port":1}])")).at(0).endpoints.empty());
  CHECK(rules(service_doc(), slice_doc(one, R"([{"name":"http","protocol":"UDP","port":1}])")).at(0).endpoints.empty());
  CHECK(rules(service_doc(), slice_doc(one, R"([{"name":"http","protocol":"TCP","port":1}])")).at(0).endpoints.size() ==
        1);
}

TEST_CASE("headless, external and foreign Services have no rules") {
  for (const char* spec : {R"({"clusterIP":"None","ports":[{"port":80}]})", R"({"ports":[{"port":80}]})",
                           R"({"type":"ExternalName","externalName":"x.y","ports":[{"port":80}]})", "{}", "[]", "7"}) {
    auto doc = json::parse(R"({"metadata":{},"spec":)" + std::string{spec} + "}");
    CHECK(rules_of(key, read_service(doc), {}, "n1").empty());
  }
  auto foreign = service_doc();
  jq::at(foreign, {"metadata", "labels", "service.kubernetes.io/service-proxy-name"}) = "cilium";
  CHECK(rules_of(key, read_service(foreign), {}, "n1").empty());
}

TEST_CASE("only Services that changed are remade, and an equal document changes nothing") {
  service_map_core m{"n1"};
  m.index.put_service(key, read_service(service_doc()));
  CHECK(m.index.changed());
  m.compile();
  m.index.put_service(key, read_service(service_doc()));
  CHECK(!m.index.changed());
  auto slice = slice_doc(R"([{"addresses":["10.244.0.2"]}])");
  m.index.put_slice("demo", "web-1", read_slice(slice));
  m.compile();
  m.index.put_slice("demo", "web-1", read_slice(slice));
  CHECK(!m.index.changed());
  // A slice that is handed to another Service leaves the former.
  jq::at(slice, {"metadata", "labels", "kubernetes.io/service-name"}) = "other";
  m.index.put_slice("demo", "web-1", read_slice(slice));
  CHECK(m.compile().at(0).endpoints.empty());
  m.index.remove_slice("demo", "web-1");
  m.index.remove_service(key);
  CHECK(m.compile().empty());
}

TEST_CASE("after a relist what is not put again is gone") {
  service_map_core m{"n1"};
  m.index.put_service(key, read_service(service_doc()));
  m.index.put_slice("demo", "web-1", read_slice(slice_doc(R"([{"addresses":["10.244.0.2"]}])")));
  CHECK(m.compile().at(0).endpoints.size() == 1);
  m.index.clear_slices();
  CHECK(m.compile().at(0).endpoints.empty());
  m.index.clear_services();
  CHECK(m.compile().empty());
}

TEST_CASE("the gate loads at once, then gathers what comes during a load and a rest") {
  apply_gate_core g;
  CHECK(g.changed().apply);
  CHECK(!g.changed().apply);
  CHECK(!g.settled());
  auto next = g.applied(true, 1ms); // cheap: no rest
  CHECK(next.apply);
  auto rest = g.applied(true, 200ms);
  REQUIRE(rest.arm);
  CHECK(*rest.arm == 200ms);
  CHECK(g.settled());
  CHECK(!g.changed().apply);
  CHECK(!g.timer(rest.epoch + 1).apply); // a late timer of another epoch
  CHECK(g.timer(rest.epoch).apply);
  CHECK(!g.timer(rest.epoch).apply);
}

TEST_CASE("the gate tries a failed load again, later each time, and forgets on success") {
  apply_gate_core g;
  g.changed();
  std::vector<std::chrono::milliseconds> waits;
  for (int i = 0; i < 7; ++i) {
    auto e = g.applied(false, 1ms);
    REQUIRE(e.arm);
    CHECK(g.failing());
    waits.push_back(*e.arm);
    CHECK(!g.changed().apply);
    REQUIRE(g.timer(e.epoch).apply);
  }
  CHECK(waits == std::vector<std::chrono::milliseconds>{1s, 2s, 4s, 8s, 16s, 30s, 30s});
  CHECK(!g.applied(true, 1ms).apply);
  CHECK(!g.failing());
}

TEST_CASE("names: ready endpoints with their hostnames and the ports of their slice") {
  dns_map_core m;
  m.put_namespace("demo");
  m.index.put_service(key, read_service(service_doc()));
  m.index.put_slice("demo", "web-1", read_slice(slice_doc(R"([{"addresses":["10.244.0.2"],"hostname":"a"},
                                             {"addresses":["10.244.0.3"],"conditions":{"ready":false}}])")));
  auto changes = m.take_changes();
  REQUIRE(changes.size() == 2);
  REQUIRE(changes[1].put);
  CHECK(changes[1].put->cluster_ip == "10.96.0.7");
  REQUIRE(changes[1].put->endpoints.size() == 1);
  CHECK(changes[1].put->endpoints[0].hostname == "a");
  CHECK(changes[1].put->endpoints[0].ports->at(0).port == 8080);
  CHECK(m.take_changes().empty());
  m.index.remove_service(key);
  CHECK(m.take_changes().at(0).removed == key);
  CHECK(m.all().empty());
}

TEST_CASE("the documents of kube-dns are what they look like") {
  CHECK(dns_service_address("10.96.0.0/12") == "10.96.0.10");
  CHECK(dns_service_address("nonsense").empty());
  auto service = kube_dns::service_document("10.96.0.10");
  CHECK(jq::str(service, {"spec", "clusterIP"}) == "10.96.0.10");
  CHECK(jq::arr(service, {"spec", "clusterIPs"}).size() == 1);
  CHECK(read_service(service).ports.size() == 2);
  CHECK(read_service(service).ports[0].protocol == "udp");
  auto slice = read_slice(kube_dns::slice_document("n1", "10.244.0.1", 5353));
  CHECK(slice.service == kube_dns::key);
  REQUIRE(slice.endpoints.size() == 1);
  CHECK(slice.endpoints[0].address == "10.244.0.1");
  CHECK(slice.endpoints[0].node == "n1");
  CHECK(slice.ports.at(1).number == 5353);
}
