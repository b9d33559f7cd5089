#include "runtime/user_lookup.hpp"

#include <doctest/doctest.h>

using namespace troupe::runtime;

namespace {
constexpr const char* passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/false\nbroken\nodd:x:y:z:::\n";
constexpr const char* group = "root:x:0:\nweb:x:34:\nlogs:x:40:web,other\nadm:x:41:other\n";
} // namespace

TEST_CASE("no user means root") {
  const auto u = look_up_user("", {}, passwd, group);
  CHECK(u->uid == 0);
  CHECK(u->gid == 0);
  CHECK(u->home == "/root");
}

TEST_CASE("a name brings its uid, gid, home and memberships") {
  const auto u = look_up_user("web", {}, passwd, group);
  CHECK(u->uid == 33);
  CHECK(u->gid == 34);
  CHECK(u->home == "/srv");
  CHECK(u->additional_gids == std::vector<std::uint32_t>{34, 40});
}

TEST_CASE("a number need not be in passwd") {
  const auto u = look_up_user("1000", {}, passwd, group);
  CHECK(u->uid == 1000);
  CHECK(u->gid == 0);
  CHECK(look_up_user("33", {}, passwd, group)->gid == 34);
  CHECK(look_up_user("1000", {}, "", "")->uid == 1000);
}

TEST_CASE("a group may be named or numbered") {
  CHECK(look_up_user("web:logs", {}, passwd, group)->gid == 40);
  CHECK(look_up_user("0:7", {}, passwd, group)->gid == 7);
  CHECK_FALSE(look_up_user("web:nobody", {}, passwd, group).has_value());
}

TEST_CASE("an unknown name is refused") {
  const auto u = look_up_user("ghost", {}, passwd, group);
  REQUIRE_FALSE(u.has_value());
  CHECK(u.error().message.find("ghost") != std::string::npos);
  CHECK_FALSE(look_up_user("odd", {}, passwd, group).has_value());
}

TEST_CASE("the pod's choice beats the image's") {
  security sec;
  sec.uid = 33;
  CHECK(look_up_user("ghost:ghost", sec, passwd, group)->gid == 34);
  sec.gid = 5;
  sec.supplemental_groups = {9, 9, 7};
  const auto u = look_up_user("", sec, passwd, group);
  CHECK(u->uid == 33);
  CHECK(u->gid == 5);
  CHECK(u->additional_gids == std::vector<std::uint32_t>{5, 7, 9, 40});
}

TEST_CASE("ids out of range are refused") {
  security sec;
  sec.uid = -1;
  CHECK_FALSE(look_up_user("", sec, passwd, group).has_value());
  sec.uid = 1LL << 40;
  CHECK_FALSE(look_up_user("", sec, passwd, group).has_value());
  sec.uid = 1;
  sec.supplemental_groups = {-5};
  CHECK_FALSE(look_up_user("", sec, passwd, group).has_value());
  CHECK_FALSE(look_up_user("4294967295", {}, passwd, group).has_value());
}
