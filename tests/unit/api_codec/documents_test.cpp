#include "api/schema/accept.hpp"
#include "api/schema/discovery.hpp"
#include "api/schema/openapi.hpp"
#include "api/schema/registry.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using schema::discovery_reply;
using schema::openapi_reply;

namespace {

constexpr std::string_view both =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

json::value body_of(const schema::static_reply& r) {
  REQUIRE(r.body);
  return json::parse(*r.body);
}

std::string_view header(const schema::static_reply& r, std::string_view name) {
  for (const auto& [k, v] : r.headers)
    if (k == name) return v;
  return {};
}

const json::value* entry(const json::value& list, std::string_view key, std::string_view name) {
  for (const auto& e : list.as_array())
    if (jq::str(e, {key}) == name) return &e;
  return nullptr;
}

} // namespace

TEST_CASE("aggregated discovery names the form it chose") {
  const auto r = discovery_reply("/apis", both, "", "");
  CHECK(r.code == 200);
  CHECK(r.content_type == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  CHECK(header(r, "Vary") == "Accept");
  const auto doc = body_of(r);
  CHECK(jq::str(doc, {"apiVersion"}) == "apidiscovery.k8s.io/v2");
  CHECK(jq::str(doc.at("items").at(1), {"metadata", "name"}) == "apps");

  const auto older =
      discovery_reply("/api", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList", "", "");
  CHECK(older.content_type == "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList");
  CHECK(jq::str(body_of(older), {"apiVersion"}) == "apidiscovery.k8s.io/v2beta1");
}

TEST_CASE("an ETag that still fits is answered without a body") {
  const auto first = discovery_reply("/apis", both, "", "");
  const auto tag = std::string{header(first, "ETag")};
  CHECK(tag.size() == 130);
  const auto again = discovery_reply("/apis", both, tag, "");
  CHECK(again.code == 304);
  CHECK_FALSE(again.body);
}

TEST_CASE("plain discovery is there for clients that know nothing else") {
  const auto versions = body_of(discovery_reply("/api", "", "", "10.0.0.1:6443"));
  CHECK(jq::str(versions, {"kind"}) == "APIVersions");
  CHECK(jq::str(versions.at("serverAddressByClientCIDRs").at(0), {"serverAddress"}) == "10.0.0.1:6443");
  const auto groups = body_of(discovery_reply("/apis", "application/json", "", ""));
  CHECK(jq::str(*entry(groups.at("groups"), "name", "autoscaling"), {"preferredVersion", "groupVersion"}) ==
        "autoscaling/v2");
  const auto core = body_of(discovery_reply("/api/v1/", "*/*", "", ""));
  CHECK(core.as_object().find("apiVersion") == core.as_object().end());
  const auto* eviction = entry(core.at("resources"), "name", "pods/eviction");
  REQUIRE(eviction);
  CHECK(jq::str(*eviction, {"group"}) == "policy");
  CHECK(jq::str(*eviction, {"version"}) == "v1");
  CHECK(jq::str(*eviction, {"kind"}) == "Eviction");
  CHECK(jq::str(body_of(discovery_reply("/apis/apps", "", "", "")), {"kind"}) == "APIGroup");
  CHECK(jq::str(body_of(discovery_reply("/apis/apps/v1", "", "", "")), {"groupVersion"}) == "apps/v1");
}

TEST_CASE("paths and types that are not there are refused") {
  for (const auto* path : {"/apis/none", "/apis/apps/v2", "/api/v2", "/apis/metrics.k8s.io/v1beta1", "/apis/apps/v1/x"})
    CHECK(discovery_reply(path, "", "", "").code == 404);
  CHECK(discovery_reply("/apis", "text/html", "", "").code == 406);
  CHECK(discovery_reply("/api/v1", "application/vnd.kubernetes.protobuf", "", "").code == 406);
  CHECK(openapi_reply("/openapi/v3/apis/none/v1", "", "", "").code == 404);
  CHECK(openapi_reply("/openapi/v4", "", "", "").code == 404);
}

TEST_CASE("Accept clauses are read in order") {
  const auto c = schema::accept_clauses(" application/json;as=Table;v=v1;g=meta.k8s.io , */* ");
  REQUIRE(c.size() == 2);
  CHECK(c[0].as == "Table");
  CHECK_FALSE(schema::takes_json(c[0]));
  CHECK(schema::takes_json(c[1]));
  CHECK(schema::accept_clauses("").front().type == "*/*");
  CHECK(schema::accept_clauses(std::string(10'000, ',')).size() == 1);
}

TEST_CASE("the OpenAPI index leads to a document for every group version") {
  const auto index = body_of(openapi_reply("/openapi/v3", "", "application/json", ""));
  const auto& paths = index.at("paths").as_object();
  CHECK(paths.size() == 21);
  for (const auto& kv : paths) {
    INFO(jq::view(kv.key()));
    const auto url = jq::str(kv.value(), {"serverRelativeURL"});
    const auto question = url.find('?');
    const auto r = openapi_reply(url.substr(0, question), url.substr(question + 1), "application/json", "");
    CHECK(r.code == 200);
    CHECK(header(r, "Cache-Control").find("immutable") != std::string_view::npos);
    const auto doc = body_of(r);
    const auto& schemas = doc.at("components").at("schemas").as_object();
    // Every reference leads somewhere.
    const auto& text = *r.body;
    for (auto at = text.find("\"#/components/schemas/"); at != text.npos;
         at = text.find("\"#/components/schemas/", at + 1)) {
      const auto from = at + 22;
      const auto name = text.substr(from, text.find('"', from) - from);
      if (!schemas.contains(name)) FAIL(name);
    }
  }
}

TEST_CASE("every kind that can be patched says so as kubectl looks for it") {
  for (const auto& res : schema::registry::get().resources()) {
    if (!res.allows("patch")) continue;
    INFO(res.api_version, " ", res.kind);
    const auto path = (res.group.empty() ? "/openapi/v3/api/" : "/openapi/v3/apis/") + res.api_version;
    const auto doc = body_of(openapi_reply(path, "", "", ""));
    bool found = false;
    for (const auto& kv : doc.at("paths").as_object()) {
      const auto* patch = kv.value().as_object().if_contains("patch");
      if (!patch || jq::str(*patch, {"x-kubernetes-group-version-kind", "kind"}) != res.kind) continue;
      found = entry(patch->at("parameters"), "name", "fieldValidation") &&
              entry(patch->at("parameters"), "name", "dryRun") &&
              patch->at("requestBody").at("content").as_object().contains("application/strategic-merge-patch+json");
    }
    CHECK(found);
  }
}

TEST_CASE("a stale hash leads to the right one") {
  const auto r = openapi_reply("/openapi/v3/api/v1", "timeout=1s&hash=OLD", "", "");
  CHECK(r.code == 301);
  CHECK(header(r, "Location") == "/openapi/v3/api/v1?hash=" + std::string{schema::openapi_hash()});
}

TEST_CASE("OpenAPI v2 comes as JSON and as protobuf") {
  const auto doc = body_of(openapi_reply("/openapi/v2", "", "application/json", ""));
  CHECK(jq::str(doc, {"definitions", "io.k8s.apimachinery.pkg.util.intstr.IntOrString", "format"}) == "int-or-string");
  const auto r = openapi_reply("/openapi/v2", "", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf", "");
  CHECK(r.content_type == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
  REQUIRE(r.body);
  CHECK(r.body->substr(0, 5) == "\x0a\x03"
                                "2.0");
  CHECK(openapi_reply("/openapi/v2", "", "text/html", "").code == 406);
  CHECK(openapi_reply("/openapi/v2", "", "", std::string{header(r, "ETag")}).code == 200); // the tag of another form
}
