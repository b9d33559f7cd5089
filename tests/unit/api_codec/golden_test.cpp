#include "tests/fuzz/whole_path.hpp"
#include "tests/unit/api_codec/golden.hpp"

#include <doctest/doctest.h>

using namespace troupe;

namespace {

json::value texts(const std::vector<std::string>& list) {
  json::array out;
  for (const auto& s : list)
    out.emplace_back(s);
  return out;
}

std::string content_type(const std::filesystem::path& p) {
  if (p.extension() == ".pb") return "application/vnd.kubernetes.protobuf";
  return p.extension() == ".json" ? "application/json" : "application/yaml";
}

} // namespace

TEST_CASE("bodies become the documents of the golden files") {
  for (const auto& path : test::golden_inputs("decode")) {
    INFO(path.string());
    const auto d = codec::decode_body(test::read_file(path), content_type(path), nullptr);
    json::object got;
    if (d) {
      got["document"] = d->doc;
      if (!d->duplicate_fields.empty()) got["duplicates"] = texts(d->duplicate_fields);
    } else {
      got["code"] = d.error().code;
      got["error"] = d.error().message;
    }
    test::expect_golden(path, got);
  }
}

TEST_CASE("documents are made to conform as the golden files say") {
  for (const auto& path : test::golden_inputs("conform")) {
    INFO(path.string());
    const auto d = codec::decode_body(test::read_file(path), content_type(path), nullptr);
    REQUIRE(d.has_value());
    const auto* t = test::type_of(d->doc);
    REQUIRE(t);
    json::object got;
    auto doc = d->doc;
    if (const auto warnings = schema::conform(doc, *t, schema::field_validation::warn, d->duplicate_fields)) {
      got["document"] = doc;
      if (!warnings->empty()) got["warnings"] = texts(*warnings);
    } else {
      got["error"] = warnings.error().message;
    }
    doc = d->doc;
    const auto strict = schema::conform(doc, *t, schema::field_validation::strict, d->duplicate_fields);
    if (!strict) got["strict"] = strict.error().message;
    test::expect_golden(path, got);
  }
}

TEST_CASE("objects are defaulted and checked as the golden files say") {
  for (const auto& path : test::golden_inputs("defaulting")) {
    INFO(path.string());
    auto d = codec::decode_body(test::read_file(path), content_type(path), nullptr);
    REQUIRE(d.has_value());
    const auto* t = test::type_of(d->doc);
    REQUIRE(t);
    const auto warnings = schema::conform(d->doc, *t, schema::field_validation::strict, d->duplicate_fields);
    if (!warnings) FAIL(warnings.error().message);
    schema::apply_defaults(d->doc, *t);
    json::object got;
    got["document"] = d->doc;
    json::array errors;
    for (const auto& c : schema::check_schema(d->doc, *t))
      errors.emplace_back(c.field + ": " + c.message);
    if (!errors.empty()) got["errors"] = std::move(errors);
    test::expect_golden(path, got);

    auto again = d->doc; // a second pass changes nothing
    schema::apply_defaults(again, *t);
    REQUIRE(schema::conform(again, *t, schema::field_validation::strict).has_value());
    CHECK(test::pretty(again) == test::pretty(d->doc));
  }
}
