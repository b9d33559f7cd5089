#include "cli/shell/words.hpp"

#include <doctest/doctest.h>

using troupe::cli::split_statements;
using statements = std::vector<std::vector<std::string>>;

namespace {
statements split(const char* text) {
  auto r = split_statements(text);
  REQUIRE(r.has_value());
  return *r;
}
} // namespace

TEST_CASE("words are split at blanks, statements at semicolons and line ends") {
  CHECK(split("get pods -A; logs web-1\nraft") == statements{{"get", "pods", "-A"}, {"logs", "web-1"}, {"raft"}});
  CHECK(split(" ;; \n ").empty());
}

TEST_CASE("quotes keep blanks and semicolons, and an empty word stays a word") {
  CHECK(split(R"(get pods -l 'a in (b, c); d' "" "say \"hi\"")") ==
        statements{{"get", "pods", "-l", "a in (b, c); d", "", "say \"hi\""}});
  CHECK(split(R"(a\ b)") == statements{{"a b"}});
}

TEST_CASE("a comment runs to the end of its line") {
  CHECK(split("get pods # all of them; really\nraft") == statements{{"get", "pods"}, {"raft"}});
  CHECK(split("a#b") == statements{{"a#b"}});
}

TEST_CASE("an open quote is refused") {
  CHECK(split_statements("get 'pods").has_error());
  CHECK(split_statements("get \"pods\\\"").has_error());
}
