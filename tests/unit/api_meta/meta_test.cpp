#include "api/meta/object_meta.hpp"

#include <doctest/doctest.h>

using namespace troupe;

TEST_CASE("metadata reads as empty where it is absent or of another type") {
  const json::value none = nullptr, odd = json::parse(R"({"metadata":7})");
  for (const auto* v : {&none, &odd}) {
    CHECK(meta::name(*v).empty());
    CHECK(meta::labels(*v).empty());
    CHECK_FALSE(meta::deleting(*v));
    CHECK(meta::controller_of(*v) == nullptr);
  }
}

TEST_CASE("finalizers are added once and the empty list goes") {
  json::value o = json::parse(R"({"metadata":{"name":"a","namespace":"n"}})");
  CHECK(meta::add_finalizer(o, "x/y"));
  CHECK_FALSE(meta::add_finalizer(o, "x/y"));
  CHECK(meta::has_finalizer(o, "x/y"));
  CHECK(meta::remove_finalizer(o, "x/y"));
  CHECK(jq::find(o, {"metadata", "finalizers"}) == nullptr);
  CHECK(meta::key(o) == "n/a");
}

TEST_CASE("the controller is the owner that says so") {
  const auto owner = json::parse(R"({"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"r","uid":"u1"}})");
  json::value o = json::object{};
  jq::at(o, {"metadata", "ownerReferences"}) =
      json::array{json::parse(R"({"kind":"X","uid":"u0"})"), meta::controller_reference(owner)};
  CHECK(meta::controlled_by(o, "u1"));
  CHECK_FALSE(meta::controlled_by(o, "u0"));
  CHECK_FALSE(meta::controlled_by(o, ""));
}
