#include "net/dns/dns_table.hpp"

#include <doctest/doctest.h>

using namespace troupe::net;

namespace {

using kind = dns_answer::kind;

dns_table sample() {
  dns_table t{"cluster.local", "10.244.0.0/16"};
  t.put_namespace("empty");
  t.put(
      {"demo", "web", "10.96.0.7", "", {{"http", "TCP", 80}, {"metrics", "tcp", 9090}}, {{"10.244.0.5", "", nullptr}}});
  auto ports = std::make_shared<std::vector<dns_port>>(std::vector<dns_port>{{"peer", "TCP", 7000}});
  t.put({"demo", "db", "None", "", {{"peer", "TCP", 1}}, {{"10.244.0.8", "db-0", ports}, {"10.244.0.9", "", ports}}});
  t.put({"demo", "none", "None", "", {}, {}});
  t.put({"demo", "away", "", "Example.ORG.", {}, {}});
  return t;
}

std::string first(const dns_answer& a) {
  return a.records.empty()             ? ""
         : a.records[0].target.empty() ? std::to_string(a.records[0].address)
                                       : a.records[0].target;
}

} // namespace

TEST_CASE("a cluster IP Service has one address, other types are absent but the name is there") {
  auto t = sample();
  auto a = t.lookup("web.demo.svc.cluster.local", dns_type::a);
  REQUIRE(a.what == kind::found);
  CHECK(a.records.size() == 1);
  CHECK(a.records[0].address == 0x0a600007);
  CHECK(t.lookup("web.demo.svc.cluster.local", dns_type::aaaa).what == kind::nodata);
  CHECK(t.lookup("web.demo.svc.cluster.local", dns_type::txt).what == kind::nodata);
}

TEST_CASE("names above and beside a Service tell NODATA from NXDOMAIN") {
  auto t = sample();
  for (const char* there : {"cluster.local", "svc.cluster.local", "pod.cluster.local", "demo.svc.cluster.local",
                            "empty.svc.cluster.local", "demo.pod.cluster.local", "_tcp.web.demo.svc.cluster.local"})
    CHECK_MESSAGE(t.lookup(there, dns_type::a).what == kind::nodata, std::string{there});
  for (const char* absent :
       {"nope.cluster.local", "nope.svc.cluster.local", "nope.demo.svc.cluster.local", "web.empty.svc.cluster.local",
        "_udp.web.demo.svc.cluster.local", "_ftp._tcp.web.demo.svc.cluster.local", "x.web.demo.svc.cluster.local",
        "a.b.web.demo.svc.cluster.local", "none.demo.svc.cluster.local", "1-2-3-4.nope.pod.cluster.local",
        "_http._tcp.x.web.demo.svc.cluster.local", ".web.demo.svc.cluster.local", "..svc.cluster.local"})
    CHECK_MESSAGE(t.lookup(absent, dns_type::a).what == kind::nxdomain, std::string{absent});
  for (const char* other : {"example.org", "local", "cluster.locale", "xcluster.local", "", "in-addr.arpa"})
    CHECK_MESSAGE(t.lookup(other, dns_type::a).what == kind::not_ours, std::string{other});
}

TEST_CASE("SRV names lead to the Service, or to each endpoint of a headless one") {
  auto t = sample();
  auto web = t.lookup("_http._tcp.web.demo.svc.cluster.local", dns_type::srv);
  REQUIRE(web.records.size() == 1);
  CHECK(web.records[0].port == 80);
  CHECK(web.records[0].target == "web.demo.svc.cluster.local");
  CHECK(web.additional.at(0).address == 0x0a600007);
  auto db = t.lookup("_peer._tcp.db.demo.svc.cluster.local", dns_type::srv);
  REQUIRE(db.records.size() == 2);
  CHECK(db.records[0].target == "db-0.db.demo.svc.cluster.local");
  CHECK(db.records[0].port == 7000); // the endpoint's port, not the Service's
  CHECK(db.records[1].target == "10-244-0-9.db.demo.svc.cluster.local");
  CHECK(t.lookup("web.demo.svc.cluster.local", dns_type::srv).records.size() == 2);
  CHECK(t.lookup("_http._tcp.web.demo.svc.cluster.local", dns_type::a).what == kind::nodata);
}

TEST_CASE("a headless Service has the addresses of its endpoints, and each has a name") {
  auto t = sample();
  CHECK(t.lookup("db.demo.svc.cluster.local", dns_type::a).records.size() == 2);
  CHECK(first(t.lookup("db-0.db.demo.svc.cluster.local", dns_type::a)) == std::to_string(0x0af40008));
  CHECK(first(t.lookup("10-244-0-9.db.demo.svc.cluster.local", dns_type::a)) == std::to_string(0x0af40009));
  CHECK(t.lookup("db-1.db.demo.svc.cluster.local", dns_type::a).what == kind::nxdomain);
}

TEST_CASE("an ExternalName is a CNAME for every type") {
  auto t = sample();
  CHECK(first(t.lookup("away.demo.svc.cluster.local", dns_type::a)) == "example.org");
  CHECK(t.lookup("away.demo.svc.cluster.local", dns_type::aaaa).records.at(0).type == dns_type::cname);
}

TEST_CASE("a pod's name holds its address, within the pods' range only") {
  auto t = sample();
  CHECK(first(t.lookup("10-244-3-4.demo.pod.cluster.local", dns_type::a)) == std::to_string(0x0af40304));
  CHECK(t.lookup("10-244-3-4.demo.pod.cluster.local", dns_type::aaaa).what == kind::nodata);
  CHECK(t.lookup("192-0-2-1.demo.pod.cluster.local", dns_type::a).what == kind::nxdomain);
  CHECK(t.lookup("10-244-3.demo.pod.cluster.local", dns_type::a).what == kind::nxdomain);
  CHECK(t.lookup("10-244-3-999.demo.pod.cluster.local", dns_type::a).what == kind::nxdomain);
}

TEST_CASE("addresses lead back to names; unknown ones are someone else's") {
  auto t = sample();
  CHECK(first(t.lookup("7.0.96.10.in-addr.arpa", dns_type::ptr)) == "web.demo.svc.cluster.local");
  CHECK(first(t.lookup("8.0.244.10.in-addr.arpa", dns_type::ptr)) == "db-0.db.demo.svc.cluster.local");
  CHECK(t.lookup("7.0.96.10.in-addr.arpa", dns_type::a).what == kind::nodata);
  CHECK(t.lookup("1.0.0.10.in-addr.arpa", dns_type::ptr).what == kind::not_ours);
  CHECK(t.lookup("x.0.0.10.in-addr.arpa", dns_type::ptr).what == kind::not_ours);
}

TEST_CASE("changes replace all that a Service had and leave others alone") {
  auto t = sample();
  t.put({"demo", "web", "10.96.0.8", "", {{"http", "TCP", 81}}, {}});
  CHECK(first(t.lookup("web.demo.svc.cluster.local", dns_type::a)) == std::to_string(0x0a600008));
  CHECK(t.lookup("7.0.96.10.in-addr.arpa", dns_type::ptr).what == kind::not_ours);
  CHECK(t.lookup("_metrics._tcp.web.demo.svc.cluster.local", dns_type::srv).what == kind::nxdomain);
  t.remove("demo", "web");
  CHECK(t.lookup("web.demo.svc.cluster.local", dns_type::a).what == kind::nxdomain);
  CHECK(t.lookup("db.demo.svc.cluster.local", dns_type::a).records.size() == 2);
  t.remove("demo", "web");
  for (const char* name : {"db", "none", "away"})
    t.remove("demo", name);
  CHECK(t.lookup("demo.svc.cluster.local", dns_type::a).what == kind::nxdomain); // no object, no Service
  t.remove_namespace("empty");
  CHECK(t.lookup("empty.svc.cluster.local", dns_type::a).what == kind::nxdomain);
  CHECK(t.services() == 0);
}
