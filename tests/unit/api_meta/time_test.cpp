#include "api/meta/time.hpp"

#include "api/meta/int_or_string.hpp"
#include "api/meta/names.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace std::chrono_literals;

TEST_CASE("instants are read in any zone and written in UTC") {
  CHECK(format_time(*parse_time("2006-01-02T15:04:05Z")) == "2006-01-02T15:04:05Z");
  CHECK(format_time(*parse_time("2006-01-02T15:04:05+07:00")) == "2006-01-02T08:04:05Z");
  CHECK(format_time(*parse_time("2024-02-29T23:59:59.999999999-00:30")) == "2024-03-01T00:29:59Z");
  CHECK(format_micro_time(*parse_time("2006-01-02T15:04:05.0123456Z")) == "2006-01-02T15:04:05.012345Z");
  CHECK(format_nano_time(sys_nanos{1ns}) == "1970-01-01T00:00:00.000000001Z");
}

TEST_CASE("what is no instant is refused") {
  for (auto s :
       {"", "2006-01-02", "2006-01-02T15:04:05", "2006-13-02T15:04:05Z", "2006-02-30T15:04:05Z", "2006-01-02T24:04:05Z",
        "2006-01-02T15:04:05.Z", "2006-01-02T15:04:05+0700", "2006-01-02T15:04:05Zx"}) {
    INFO(s);
    CHECK_FALSE(parse_time(s).has_value());
  }
}

TEST_CASE("instants survive being written and read, from 1970 to 2200") {
  random_source r{3};
  for (int i = 0; i < 5000; ++i) {
    const sys_micros t{std::chrono::microseconds{static_cast<std::int64_t>(r.below(7'258'118'400'000'000ULL))}};
    CHECK(*parse_time(format_micro_time(t)) == t);
  }
}

TEST_CASE("every year of four digits is written as it was read") {
  for (auto text : {"0000-01-01T00:00:00.000000Z", "1600-02-29T12:00:00.000001Z", "4052-11-23T07:46:11.113031Z",
                    "9999-12-31T23:59:59.999999Z"})
    CHECK(format_micro_time(*parse_time(text)) == text);
  CHECK_FALSE(parse_time("9999-12-31T23:59:59-01:00"));
  CHECK_FALSE(parse_time("0000-01-01T00:00:00+01:00"));
}

TEST_CASE("Go durations are read and written") {
  CHECK(*parse_go_duration("1m30s") == 90s);
  CHECK(*parse_go_duration("1.5h") == 90min);
  CHECK(*parse_go_duration("-300ms") == -300ms);
  CHECK(*parse_go_duration("0") == 0s);
  CHECK(*parse_go_duration("8.000011s") == 8'000'011us);
  CHECK(*parse_go_duration("2562047h47m16.854775807s") == std::chrono::nanoseconds::max());
  CHECK_FALSE(parse_go_duration("2562047h47m16.854775808s").has_value());
  CHECK_FALSE(parse_go_duration("99999999999999999999h").has_value());
  CHECK(parse_go_duration("5").error().message == "time: missing unit in duration \"5\"");
  CHECK(parse_go_duration("x").error().message == "time: invalid duration \"x\"");
  CHECK(format_go_duration(90s) == "1m30s");
  CHECK(format_go_duration(1h) == "1h0m0s");
  CHECK(format_go_duration(1500ms) == "1.5s");
  CHECK(format_go_duration(10500us) == "10.5ms");
  CHECK(format_go_duration(0s) == "0s");
}

TEST_CASE("ages read as kubectl prints them") {
  const std::pair<std::chrono::seconds, std::string_view> table[] = {
      {-5s, "<invalid>"},   {-1s, "0s"},       {0s, "0s"},
      {119s, "119s"},       {120s, "2m"},      {192s, "3m12s"},
      {600s, "10m"},        {10799s, "179m"},  {3h, "3h"},
      {3h + 5min, "3h5m"},  {8h, "8h"},        {47h, "47h"},
      {48h, "2d"},          {51h, "2d3h"},     {192h, "8d"},
      {24h * 300, "300d"},  {24h * 730, "2y"}, {24h * (730 + 40), "2y40d"},
      {24h * 365 * 9, "9y"}};
  for (const auto& [d, text] : table) {
    INFO(d.count());
    CHECK(human_duration(d) == text);
  }
  CHECK(human_age("", sys_micros{}) == "<unknown>");
}

TEST_CASE("a percentage of a count rounds the way that is asked for") {
  CHECK(*resolve_count("25%", 3, rounding::up) == 1);
  CHECK(*resolve_count("25%", 3, rounding::down) == 0);
  CHECK(*resolve_count("100%", 3, rounding::down) == 3);
  CHECK(*resolve_count(7, 3, rounding::down) == 7);
  CHECK_FALSE(resolve_count("seven", 3, rounding::down).has_value());
  CHECK_FALSE(resolve_count("%", 3, rounding::down).has_value());
}
