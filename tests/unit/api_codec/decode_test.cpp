#include "api/codec/json_decode.hpp"
#include "api/schema/registry.hpp"

#include <doctest/doctest.h>

using namespace troupe;

namespace {

std::string shown(const result<codec::decoded>& d) {
  return d ? json::serialize(d->doc) : "error: " + d.error().message;
}
std::string yaml(std::string_view text) { return shown(codec::parse_yaml(text)); }

} // namespace

TEST_CASE("a body is read by its content type") {
  CHECK(shown(codec::decode_body("{\"a\":1}", "", nullptr)) == R"({"a":1})");
  CHECK(shown(codec::decode_body("{\"a\":1}", "application/json; charset=utf-8", nullptr)) == R"({"a":1})");
  CHECK(shown(codec::decode_body("a: 1", "application/yaml", nullptr)) == R"({"a":1})");
  CHECK(codec::decode_body("a: 1", "text/plain", nullptr).error().code == 415);
}

TEST_CASE("JSON errors say where they are") {
  CHECK(codec::parse_json("{\n  \"a\": x}").error().message.find("line 2, column 8") != std::string::npos);
  CHECK(codec::parse_json("{\"a\":").error().message == "json parse error: unexpected end of JSON input");
  CHECK(codec::parse_json("").error().code == 400);
  CHECK(codec::parse_json("{} {}").error().code == 400);
  CHECK(codec::parse_json("{\"a\":\"\xff\"}").error().code == 400);
}

TEST_CASE("nesting is bounded in every text form") {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  CHECK(codec::parse_json(nested(200)).has_value());
  CHECK_FALSE(codec::parse_json(nested(300)).has_value());
  CHECK_FALSE(codec::parse_json(std::string(100'000, '[')).has_value());
  CHECK_FALSE(codec::parse_json(std::string(100'000, '{')).has_value());
  CHECK_FALSE(codec::parse_yaml(nested(300)).has_value());
  CHECK_FALSE(codec::parse_yaml(std::string(100'000, '[')).has_value());
}

TEST_CASE("keys that stand twice are named by their path") {
  const auto d = codec::parse_json(R"({"spec":{"a":[{"x":1},{"x":1,"y":2,"x":3}],"b":1,"b":2}})");
  REQUIRE(d.has_value());
  CHECK(d->duplicate_fields == std::vector<std::string>{"spec.a[1].x", "spec.b"});
  CHECK(json::serialize(d->doc) == R"({"spec":{"a":[{"x":1},{"x":3,"y":2}],"b":2}})");
}

TEST_CASE("plain YAML scalars mean what sigs.k8s.io/yaml makes of them") {
  CHECK(yaml("[yes, No, on, OFF, y, n, true, False]") == "[true,false,true,false,true,false,true,false]");
  CHECK(yaml("['yes', \"1\", !!str 1, 0x1F, 0644, 0o17, 0b101, 1_000, +5, -7]") ==
        R"(["yes","1","1",31,420,15,5,1000,5,-7])");
  CHECK(yaml("[~, null, '', , 1.5, 3.0, 1e3, 2001-01-01, 1.2.3, 08, 0x, -]") ==
        R"([null,null,"",null,1.5E0,3,1000,"2001-01-01","1.2.3",8,"0x","-"])");
  CHECK(yaml("[9223372036854775807, 9223372036854775808, 18446744073709551616]") ==
        "[9223372036854775807,9223372036854775808,1.8446744073709552E19]");
  CHECK(yaml(".inf").starts_with("error: "));
  CHECK(yaml("a: |\n  yes\n") == R"({"a":"yes\n"})");
}

TEST_CASE("YAML keys become text") {
  CHECK(yaml("1: a\ntrue: b\non: c\n1.5: d") == R"({"1":"a","true":"c","1.5":"d"})");
  CHECK(yaml("? [a]\n: b").starts_with("error: "));
  CHECK(yaml("~: b").starts_with("error: "));
}

TEST_CASE("YAML anchors, aliases and merges are expanded") {
  CHECK(yaml("a: &x {b: 1}\nc: *x\nd: [*x, *x]") == R"({"a":{"b":1},"c":{"b":1},"d":[{"b":1},{"b":1}]})");
  CHECK(yaml("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3") == R"({"a":{"b":1,"c":2},"d":{"c":3,"b":1}})");
  CHECK(yaml("a: &x {b: 1}\ne: &y {b: 2, c: 3}\nd:\n  <<: [*x, *y]\n  z: 0") ==
        R"({"a":{"b":1},"e":{"b":2,"c":3},"d":{"z":0,"b":1,"c":3}})");
  CHECK(yaml("a: &x [*x]").starts_with("error: "));
  CHECK(yaml("a: *nothing").starts_with("error: "));
}

TEST_CASE("a YAML document that grows without bound through aliases is refused") {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k)
      text += (k ? ", *a" : "*a") + std::to_string(i - 1);
    text += "]\n";
  }
  CHECK(yaml(text).find("too large") != std::string::npos);
}

TEST_CASE("YAML errors carry line and column") {
  const auto e = codec::parse_yaml("a: b\n c: d\n");
  REQUIRE_FALSE(e.has_value());
  CHECK(e.error().message.find("yaml: line 2, column") != std::string::npos);
  CHECK(yaml("") == "null");
  CHECK(yaml("---\na: 1\n---\nb: 2\n") == R"({"a":1})");
  CHECK(codec::parse_yaml("a: 1\nb:\n  c: 1\n  c: 2")->duplicate_fields == std::vector<std::string>{"b.c"});
}
