#include "api/schema/conform.hpp"
#include "api/schema/registry.hpp"
#include "api/schema/scalars.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace troupe;
using schema::registry;

TEST_CASE("the embedded data is consistent in itself") {
  const auto& r = registry::get();
  CHECK(r.types().size() == 550);
  for (const auto* t : r.types()) {
    INFO(t->name);
    CHECK(r.find_type(t->name) == t);
    CHECK(r.types()[t->id] == t);
    if (t->what != schema::form::structure) CHECK(t->fields.empty());
    for (const auto& k : t->kinds)
      CHECK(r.find_kind(k.group, k.version, k.kind) == t);
    std::set<std::pair<std::vector<std::pair<std::string, int>>, int>> numbers;
    for (const auto& f : t->fields) {
      INFO(f.name);
      CHECK(t->find(f.name) == &f);
      if (f.what == schema::form::structure) CHECK((f.ref && f.ref->what == schema::form::structure));
      if (f.list == schema::list_kind::map) CHECK(!f.keys.empty());
      for (const auto& k : f.keys)
        CHECK((f.ref && f.ref->find(k)));
      if (!f.merge_key.empty()) CHECK((f.patch_merge && f.ref && f.ref->find(f.merge_key)));
      if (f.fallback && !f.one_of.empty()) {
        CHECK(std::find(f.one_of.begin(), f.one_of.end(), jq::view(f.fallback->as_string())) != f.one_of.end());
      }
      if (f.pb != 0) CHECK(numbers.emplace(f.pb_inline, f.pb).second);
    }
    CHECK(t->find("no such field") == nullptr);
  }
}

TEST_CASE("every resource is found by each of its names") {
  const auto& r = registry::get();
  for (const auto& res : r.resources()) {
    INFO(res.api_version, " ", res.plural);
    CHECK(r.find(res.group, res.version, res.plural) == &res);
    CHECK(r.find_by_kind(res.group, res.version, res.kind) == &res);
    CHECK(r.find_kind(res.group, res.version, res.kind) == res.body);
    CHECK(res.body->find("metadata"));
    if (!res.list_kind.empty()) CHECK(r.find_kind(res.group, res.version, res.list_kind));
    if (res.stored) {
      CHECK_FALSE(res.store_key.empty());
      CHECK(r.find_by_kind(res.storage_group, res.storage_version, res.kind));
    }
    for (const auto& s : res.subresources)
      CHECK(s.body == r.find_kind(s.group, s.version, s.kind));
  }
  CHECK(r.find_by_name("deploy")->plural == "deployments");
  CHECK(r.find_by_name("po")->group.empty());
  CHECK(r.find_by_name("Pod")->plural == "pods");
  CHECK(r.find_by_name("hpa")->version == "v2");
  CHECK(r.find_by_name("events")->group.empty());
  CHECK(r.find_by_name("events.events.k8s.io")->group == "events.k8s.io");
  CHECK(r.find_by_name("nothing") == nullptr);
}

TEST_CASE("versions of one stored kind share a table") {
  const auto& r = registry::get();
  CHECK(r.find("", "v1", "events")->store_key == "events");
  CHECK(r.find("events.k8s.io", "v1", "events")->store_key == "events");
  CHECK(r.find("autoscaling", "v1", "horizontalpodautoscalers")->store_key ==
        r.find("autoscaling", "v2", "horizontalpodautoscalers")->store_key);
  CHECK(r.find("apps", "v1", "deployments")->store_key == "deployments.apps");
  std::set<std::string> keys;
  for (const auto& res : r.resources())
    if (res.stored && res.group == res.storage_group && res.version == res.storage_version)
      CHECK(keys.insert(res.store_key).second);
}

TEST_CASE("fields behind a gate that is off are marked") {
  const auto* spec = registry::get().find_type("io.k8s.api.core.v1.PodSpec");
  CHECK(spec->find("resourceClaims")->gated_off);
  CHECK_FALSE(registry::get().find_type("io.k8s.api.core.v1.Container")->find("restartPolicy")->gated_off);
}

TEST_CASE("times are read with any offset and written in UTC") {
  const auto shown = [](std::string_view s) {
    const auto t = schema::parse_time(s);
    return t ? schema::format_time(*t) : std::string{"no"};
  };
  CHECK(shown("2024-02-29T12:00:00Z") == "2024-02-29T12:00:00Z");
  CHECK(shown("2024-02-29T12:00:00.123+02:30") == "2024-02-29T09:30:00Z");
  CHECK(shown("1969-12-31T23:59:59Z") == "1969-12-31T23:59:59Z");
  CHECK(shown("0000-01-01T00:00:00+00:01") == "");
  for (const auto* bad : {"", "2023-02-29T12:00:00Z", "2024-01-01", "2024-01-01T00:00:00", "2024-01-01T24:00:00Z",
                          "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00+1:00", "2024-01-01 00:00:00Z"})
    CHECK(shown(bad) == "no");
  CHECK(schema::format_microtime({0, 1500}) == "1970-01-01T00:00:00.000001Z");
}

TEST_CASE("durations are read and written as Go does") {
  const auto shown = [](std::string_view s) {
    const auto d = schema::parse_duration(s);
    return d ? schema::format_duration(*d) : std::string{"no"};
  };
  CHECK(shown("90s") == "1m30s");
  CHECK(shown("1.5h") == "1h30m0s");
  CHECK(shown("10.5s") == "10.5s");
  CHECK(shown("1500us") == "1.5ms");
  CHECK(shown("-2h3ns") == "-2h0m0.000000003s");
  CHECK(shown("0") == "0s");
  for (const auto* bad : {"", "5", "s", "1x", ".s", "9999999999h", "1.2.3s", "-"})
    CHECK(shown(bad) == "no");
}

TEST_CASE("base64 is checked to the byte") {
  CHECK(schema::base64_fault("") == std::string_view::npos);
  CHECK(schema::base64_fault("aGk=") == std::string_view::npos);
  CHECK(schema::base64_fault("aA==\n") == std::string_view::npos);
  CHECK(schema::base64_fault("aGk") == 3);
  CHECK(schema::base64_fault("a=") == 1);
  CHECK(schema::base64_fault("aG!k") == 2);
  CHECK(schema::base64_fault("aA==aA==") == 4);
  for (const auto* text : {"", "a", "ab", "abc", "abcd"})
    CHECK(schema::base64_decode(schema::base64_encode(text)) == text);
}

TEST_CASE("fieldValidation takes three words") {
  CHECK(*schema::parse_field_validation("") == schema::field_validation::warn);
  CHECK(*schema::parse_field_validation("Strict") == schema::field_validation::strict);
  CHECK(schema::parse_field_validation("strict").error().code == 422);
}
