#include "net/http/parser.hpp"
#include "net/http/response_text.hpp"
#include "net/http/server.hpp"

#include <doctest/doctest.h>

using namespace troupe;

TEST_CASE("a query is split and decoded") {
  std::vector<std::pair<std::string, std::string>> q;
  REQUIRE(http::parse_query("labelSelector=a%3Db%2Cc&watch=1&&empty=&flag&command=a+b", q));
  REQUIRE(q.size() == 5);
  CHECK(q[0].second == "a=b,c");
  CHECK(q[2].first == "empty");
  CHECK(q[3].second.empty());
  CHECK(q[4].second == "a b");
  CHECK(!http::parse_query("a=%4", q));
  CHECK(!http::parse_query("a=%zz", q));
}

TEST_CASE("a header value cannot end its line") {
  std::string out;
  http::append_head(out, 200, "a\r\nb", {{"X", "1\r\nY: 2"}}, 0, false, "now");
  CHECK(out.find("\r\nY:") == std::string::npos);
}

TEST_CASE("a parser stops behind its request and leaves the rest") {
  http::request_parser p;
  const std::string two = "GET /a?x=1 HTTP/1.1\r\nHost: h\r\nX-A:  v \r\n\r\nGET /b HTTP/1.1\r\n\r\n";
  const auto used = p.put(two.data(), two.size());
  CHECK(p.done());
  CHECK(two.substr(used).rfind("GET /b", 0) == 0);
  http::request_view v;
  p.fill(v);
  CHECK(v.path == "/a");
  CHECK(v.query == "x=1");
  CHECK(v.header("x-a") == "v");
}
