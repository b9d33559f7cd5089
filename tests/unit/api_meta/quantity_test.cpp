#include "api/meta/quantity.hpp"

#include "api/meta/names.hpp"

#include <doctest/doctest.h>

using namespace troupe;

namespace {
std::string canonical(std::string_view s) {
  const auto r = canonical_quantity(s);
  return r ? *r : "error: " + r.error().message;
}
quantity q(std::string_view s) {
  auto r = quantity::parse(s);
  REQUIRE_MESSAGE(r.has_value(), s);
  return *r;
}
} // namespace

TEST_CASE("quantities are written in canonical form, keeping their suffix family") {
  const std::pair<std::string_view, std::string_view> table[] = {{"0", "0"},
                                                                 {"0Gi", "0"},
                                                                 {"1000m", "1"},
                                                                 {"0.5", "500m"},
                                                                 {"1.5Gi", "1536Mi"},
                                                                 {"1024Mi", "1Gi"},
                                                                 {"2000", "2k"},
                                                                 {"1500m", "1500m"},
                                                                 {"100Ki", "100Ki"},
                                                                 {"1023Ki", "1023Ki"},
                                                                 {"1536", "1536"},
                                                                 {"0.5Ki", "512"},
                                                                 {"12e6", "12e6"},
                                                                 {"1200e3", "1200e3"},
                                                                 {"1e3", "1e3"},
                                                                 {"123.456", "123456m"},
                                                                 {"+5", "5"},
                                                                 {"-5", "-5"},
                                                                 {"-1.5Gi", "-1536Mi"},
                                                                 {".5", "500m"},
                                                                 {"5.", "5"},
                                                                 {"100n", "100n"},
                                                                 {"1u", "1u"},
                                                                 {"0.1n", "1n"},
                                                                 {"1E", "1E"},
                                                                 {"8Ei", "9223372036854775807"},
                                                                 {"1000k", "1M"},
                                                                 {"0.0001Ki", "102400u"}};
  for (const auto& [in, out] : table) {
    INFO(in);
    CHECK(canonical(in) == out);
  }
}

TEST_CASE("what is no quantity is refused with the words of the server") {
  const std::string re = "error: quantities must match the regular expression "
                         "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
  for (auto s : {"", "abc", "-", "Gi", "1 Gi", "1.2.3", "1Gi!"}) {
    INFO(s);
    CHECK(canonical(s) == re);
  }
  for (auto s : {"1Kb", "1mm", "1ii", "1e"}) {
    INFO(s);
    const auto got = canonical(s);
    CHECK((got == "error: unable to parse quantity's suffix" || got == re));
  }
  CHECK(canonical("1KK") == "error: unable to parse quantity's suffix");
}

TEST_CASE("whole units and thousandths round away from zero") {
  CHECK(q("1m").units() == 1);
  CHECK(q("-1m").units() == -1);
  CHECK(q("1500m").units() == 2);
  CHECK(q("1Gi").units() == 1073741824);
  CHECK(q("100u").milli() == 1);
  CHECK(q("2").milli() == 2000);
  CHECK(q("100E").units() == std::numeric_limits<std::int64_t>::max());
  CHECK(q("0.1m").rounded_to_milli() == q("1m"));
}

TEST_CASE("sums keep the family of what was first, and an empty sum takes the other's") {
  CHECK((q("1Gi") + q("512Mi")).to_string() == "1536Mi");
  CHECK((quantity{} + q("1Gi")).to_string() == "1Gi");
  CHECK((q("1") - q("1500m")).to_string() == "-500m");
  CHECK(q("250m").times(4).to_string() == "1");
  CHECK(q("1Gi") > q("1G"));
  CHECK(q("1000m") == q("1"));
}

TEST_CASE("canonical form is stable and keeps the value, whatever the number") {
  random_source r{11};
  const std::string_view suffixes[] = {"", "n", "u", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "e3", "E-3"};
  for (int i = 0; i < 20000; ++i) {
    std::string s = std::to_string(r.below(100'000));
    if (r.below(2)) s += "." + std::to_string(r.below(1000));
    s += suffixes[r.below(std::size(suffixes))];
    const auto a = q(s);
    const auto text = a.to_string();
    INFO(s, " -> ", text);
    const auto b = q(text);
    if (a.suffixes() != quantity::family::binary || a.nano() % 1'000'000'000 == 0) CHECK(a == b);
    CHECK(b.to_string() == text);
    CHECK(text.find('.') == text.npos);
    const auto c = q(std::to_string(r.below(1000)) + "m");
    CHECK((a + c) - c == a);
  }
}
