#include "actors/apiserver/negotiate.hpp"
#include "actors/apiserver/route.hpp"
#include "tests/support/api_lab.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using test::api_lab;

namespace {
const std::string maps = "/api/v1/namespaces/default/configmaps";
void make(api_lab& l, int n) {
  for (int i = 0; i < n; ++i)
    l.post(maps,
           R"({"metadata":{"name":"m)" + std::to_string(i) + R"(","labels":{"n":")" + std::to_string(i) + R"("}}})");
}
std::vector<std::string> names_of(const test::lab_answer& a) {
  std::vector<std::string> out;
  for (const auto& i : jq::arr(a.body, {"items"}))
    out.emplace_back(jq::str(i, {"metadata", "name"}));
  return out;
}
} // namespace

TEST_CASE("a path says what it is about") {
  using apiserver::parse_route;
  auto r = parse_route("GET", "/apis/apps/v1/namespaces/ns/deployments/d/scale");
  CHECK(r.resource);
  CHECK(r.group == "apps");
  CHECK(r.ns == "ns");
  CHECK(r.plural == "deployments");
  CHECK(r.name == "d");
  CHECK(r.subresource == "scale");
  CHECK(parse_route("GET", "/api/v1").resource == false);
  r = parse_route("PUT", "/api/v1/namespaces/x/finalize");
  CHECK(r.plural == "namespaces");
  CHECK(r.name == "x");
  CHECK(r.subresource == "finalize");
  CHECK(r.ns.empty());
  CHECK(parse_route("DELETE", "/api/v1/namespaces/x/pods").what == verb::deletecollection);
  CHECK(parse_route("GET", "/api/v1/watch/pods").what == verb::watch);
  r = parse_route("GET", "/api/v1/namespaces/x/services/http:web:80/proxy/a/b");
  CHECK(r.tail == "/a/b");
}

TEST_CASE("the first form that can be served wins") {
  using apiserver::negotiate;
  using shape = apiserver::wanted_form::shape;
  CHECK(negotiate("application/vnd.kubernetes.protobuf,application/json")->what == shape::plain);
  CHECK(negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json")->what == shape::table);
  CHECK(negotiate("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")->what == shape::partial);
  CHECK(negotiate("application/yaml")->yaml);
  CHECK(negotiate("text/html").error().code == 406);
  CHECK(negotiate("application/vnd.kubernetes.protobuf, */*").has_value());
}

TEST_CASE("a list is ordered, selected and carries the store's revision") {
  api_lab l;
  make(l, 3);
  auto a = l.get(maps);
  CHECK(a.at({"kind"}) == "ConfigMapList");
  CHECK(a.at({"metadata", "resourceVersion"}) == std::to_string(l.view()->rev()));
  CHECK(names_of(a) == std::vector<std::string>{"m0", "m1", "m2"});
  CHECK(names_of(l.get(maps + "?labelSelector=n%20in%20(0,2)")) == std::vector<std::string>{"m0", "m2"});
  CHECK(names_of(l.get(maps + "?fieldSelector=metadata.name%3Dm1")) == std::vector<std::string>{"m1"});
  CHECK(l.get(maps + "?fieldSelector=spec.nope%3Dm1").message() == "field label not supported: spec.nope");
  CHECK(l.get("/api/v1/namespaces/empty/configmaps").body.at("items").as_array().empty());
}

TEST_CASE("pages are one snapshot, whatever happens in between") {
  api_lab l;
  make(l, 5);
  auto first = l.get(maps + "?limit=2");
  CHECK(names_of(first) == std::vector<std::string>{"m0", "m1"});
  CHECK(jq::num(first.body, {"metadata", "remainingItemCount"}) == 3);
  l.remove(maps + "/m2");
  l.post(maps, R"({"metadata":{"name":"m21"}})");
  const std::string token{first.at({"metadata", "continue"})};
  auto second = l.get(maps + "?limit=2&continue=" + token);
  CHECK(names_of(second) == std::vector<std::string>{"m2", "m3"});
  CHECK(second.at({"metadata", "resourceVersion"}) == first.at({"metadata", "resourceVersion"}));
  auto last = l.get(maps + "?limit=2&continue=" + std::string(second.at({"metadata", "continue"})));
  CHECK(names_of(last) == std::vector<std::string>{"m4"});
  CHECK(last.at({"metadata", "continue"}).empty());
}

TEST_CASE("a token whose snapshot is gone is 410 with a token to go on") {
  api_lab l;
  make(l, 3);
  auto first = l.get(maps + "?limit=1");
  make(l, 0);
  l.services().pins = std::make_shared<apiserver::view_pins>();
  l.post(maps, R"({"metadata":{"name":"z"}})");
  auto forgetful = std::make_shared<store::watch_window>();
  forgetful->start(l.view()->rev(), l.view()->rev());
  l.services().options.hub = forgetful;
  auto gone = l.get(maps + "?limit=1&continue=" + std::string(first.at({"metadata", "continue"})));
  CHECK(gone.code == 410);
  CHECK(gone.reason() == "Expired");
  auto on = l.get(maps + "?continue=" + std::string(gone.at({"metadata", "continue"})));
  CHECK(names_of(on) == std::vector<std::string>{"m1", "m2", "z"});
  CHECK(l.get(maps + "?continue=nonsense").message().find("continue key is not valid") == 0);
}

TEST_CASE("resourceVersion and its match are obeyed") {
  api_lab l;
  make(l, 1);
  const auto rev = l.view()->rev();
  CHECK(l.get(maps + "?resourceVersion=0").code == 200);
  CHECK(l.get(maps + "?resourceVersion=" + std::to_string(rev)).code == 200);
  const auto ahead = l.get(maps + "?resourceVersion=" + std::to_string(rev + 1));
  CHECK(ahead.code == 504);
  CHECK(ahead.message() ==
        "Timeout: Too large resource version: " + std::to_string(rev + 1) + ", current: " + std::to_string(rev));
  CHECK(l.get(maps + "?resourceVersionMatch=Exact").code == 422);
  CHECK(l.get(maps + "?resourceVersion=0&resourceVersionMatch=Exact").code == 422);
  CHECK(l.get(maps + "?resourceVersion=1&resourceVersionMatch=NotOlderThan").code == 200);
  CHECK(l.get(maps + "?sendInitialEvents=true").code == 422);
}

TEST_CASE("a list at an earlier revision shows what was there then") {
  api_lab l;
  make(l, 4);
  const auto rev = std::to_string(l.view()->rev());
  const auto was = l.get(maps);
  l.remove(maps + "/m1");
  l.post(maps, R"({"metadata":{"name":"m11"}})");
  l.merge(maps + "/m2", R"({"data":{"k":"v"}})");
  l.merge(maps + "/m2", R"({"data":{"k":"w"}})");
  l.remove(maps + "/m11");
  const auto then = l.get(maps + "?resourceVersionMatch=Exact&resourceVersion=" + rev);
  CHECK(then.code == 200);
  CHECK(then.body == was.body);
  const auto page = l.get(maps + "?limit=2&resourceVersion=" + rev);
  CHECK(names_of(page) == std::vector<std::string>{"m0", "m1"});
  CHECK(jq::num(page.body, {"metadata", "remainingItemCount"}) == 2);
  const auto rest = l.get(maps + "?continue=" + std::string(page.at({"metadata", "continue"})));
  CHECK(names_of(rest) == std::vector<std::string>{"m2", "m3"});
  CHECK(rest.at({"metadata", "resourceVersion"}) == rev);
  CHECK(names_of(l.get(
            "/api/v1/configmaps?fieldSelector=metadata.name%3Dm1&resourceVersionMatch=Exact&resourceVersion=" + rev)) ==
        std::vector<std::string>{"m1"});
}

TEST_CASE("a revision the history has forgotten is 410") {
  api_lab l;
  make(l, 2);
  auto forgetful = std::make_shared<store::watch_window>();
  forgetful->start(l.view()->rev(), l.view()->rev());
  l.services().options.hub = forgetful;
  const auto gone = l.get(maps + "?resourceVersion=1&resourceVersionMatch=Exact");
  CHECK(gone.code == 410);
  CHECK(gone.reason() == "Expired");
}

TEST_CASE("tables and partial metadata are made when asked for") {
  api_lab l;
  make(l, 1);
  const auto t = l.call("GET", maps, {}, {}, "application/json;as=Table;v=v1;g=meta.k8s.io");
  CHECK(t.at({"kind"}) == "Table");
  CHECK(jq::arr(t.body, {"rows"}).size() == 1);
  const auto p = l.call("GET", maps + "/m0", {}, {}, "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io");
  CHECK(p.at({"kind"}) == "PartialObjectMetadata");
  CHECK(p.at({"metadata", "name"}) == "m0");
  CHECK(l.call("GET", maps, {}, {}, "text/html").code == 406);
}
