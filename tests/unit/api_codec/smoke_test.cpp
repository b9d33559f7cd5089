#include "tests/fuzz/whole_path.hpp"
#include "tests/unit/api_codec/golden.hpp"
#include "tests/unit/api_codec/protobuf_encode.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace troupe;

namespace {

/// Feeds the body cut at every place and with bits flipped at many; no answer is wrong, a crash is.
void batter(const std::string& body, std::string_view content_type) {
  const auto step = std::max<std::size_t>(1, body.size() / 150);
  for (std::size_t n = 0; n < body.size(); n += step)
    test::whole_path({body.data(), n}, content_type);
  std::mt19937 random(7); // always the same bodies
  for (int i = 0; i < 150; ++i) {
    auto copy = body;
    for (unsigned k = 0; k <= random() % 3; ++k)
      copy[random() % copy.size()] ^= static_cast<char>(1u << random() % 8);
    test::whole_path(copy, content_type);
  }
}

} // namespace

TEST_CASE("cut and bent bodies harm nobody") {
  for (const auto* area : {"defaulting", "conform", "decode"})
    for (const auto& path : test::golden_inputs(area)) {
      INFO(path.string());
      const auto body = test::read_file(path);
      if (path.extension() == ".pb") {
        batter(body, "application/vnd.kubernetes.protobuf");
        continue;
      }
      batter(body, "application/yaml");
      const auto d = codec::parse_yaml(body);
      if (!d) continue;
      batter(json::serialize(d->doc), "application/json");
      if (const auto* t = test::type_of(d->doc)) {
        auto doc = d->doc;
        if (schema::conform(doc, *t, schema::field_validation::ignore))
          batter(test::to_protobuf(doc, *t), "application/vnd.kubernetes.protobuf");
      }
    }
  CHECK(true);
}

TEST_CASE("documents that are no object are refused") {
  for (const auto* body : {"null", "1", "[]", "\"x\"", "true"})
    CHECK_FALSE(test::whole_path(body, "application/json"));
  CHECK_FALSE(test::whole_path("", "application/yaml"));
}
