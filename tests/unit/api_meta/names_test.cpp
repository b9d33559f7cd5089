#include "api/meta/names.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace troupe;

namespace {
std::string one(const names::faults& f) { return f.size() == 1 ? f.front() : std::to_string(f.size()) + " faults"; }
} // namespace

TEST_CASE("names out of form are explained with the server's words") {
  CHECK(one(names::dns1123_label("A_b")) ==
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')");
  CHECK(one(names::dns1123_subdomain("a..b")) ==
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
  CHECK(
      one(names::dns1035_label("1a")) ==
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
      "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
      "'[a-z]([-a-z0-9]*[a-z0-9])?')");
  CHECK(one(names::dns1123_label(std::string(64, 'a'))) == "must be no more than 63 characters");
  CHECK(one(names::path_segment("a/b")) == "may not contain '/'");
  CHECK(one(names::path_segment("..")) == "may not be '..'");
  CHECK(one(names::qualified("a b")) ==
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')");
  CHECK(
      one(names::label_value("-")) ==
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
      "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation "
      "is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
  CHECK(
      one(names::config_map_key("a b")) ==
      "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
      "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')");
}

TEST_CASE("good names pass") {
  CHECK(names::dns1123_label("a-1").empty());
  CHECK(names::dns1123_subdomain("a.b-c.1").empty());
  CHECK(names::qualified("example.com/My_Name").empty());
  CHECK(names::label_value("").empty());
  CHECK(names::env_name("FOO.bar-baz 1").empty());
  CHECK_FALSE(names::env_name("A=B").empty());
  CHECK(names::port_name("http-2").empty());
  CHECK_FALSE(names::port_name("80").empty());
  CHECK_FALSE(names::port_name("a--b").empty());
  CHECK(names::cidr("10.0.0.0/8").empty());
  CHECK_FALSE(names::cidr("10.0.0.0/33").empty());
  CHECK(names::cidr("2001:db8::/64").empty());
  CHECK(names::is_ip("::1"));
  CHECK_FALSE(names::is_ip("1.2.3"));
  CHECK_FALSE(names::config_map_key("..a").empty());
}

TEST_CASE("a prefix of a generated name may end in a dash") {
  CHECK(names::by_rule("dns1123subdomain", "web-", true).empty());
  CHECK_FALSE(names::by_rule("dns1123subdomain", "web-", false).empty());
  CHECK_FALSE(names::by_rule("dns1123subdomain", "Web-", true).empty());
  CHECK(names::by_rule("dns1123subdomain, <=52", "web", false).empty());
}

TEST_CASE("generated names are base and five characters, and the same seed gives the same ones") {
  random_source a{42}, b{42};
  const auto n = generate_name("web-", a);
  CHECK(n == generate_name("web-", b));
  CHECK(n.size() == 9);
  CHECK(n.substr(4).find_first_not_of("bcdfghjklmnpqrstvwxz2456789") == n.npos);
  CHECK(generate_name(std::string(80, 'a'), a).size() == 63);
}

TEST_CASE("uids are distinct version 4 UUIDs") {
  random_source r{1};
  std::set<std::string> seen;
  for (int i = 0; i < 2000; ++i) {
    const auto u = make_uid(r);
    REQUIRE(u.size() == 36);
    CHECK(u[14] == '4');
    CHECK(std::string_view{"89ab"}.find(u[19]) != std::string_view::npos);
    CHECK(u[8] == '-');
    CHECK(seen.insert(u).second);
  }
}
