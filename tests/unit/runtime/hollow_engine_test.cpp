#include "runtime/engine.hpp"

#include <doctest/doctest.h>

using namespace troupe::runtime;

TEST_CASE("hollow containers go through the phases of real ones") {
  auto engine = make_hollow_engine();
  std::vector<container_info> exits;
  engine->on_exit([&](const container_info& c) { exits.push_back(c); });
  container_spec c;
  c.id = "c";
  c.sandbox_id = "s";
  CHECK_FALSE(engine->create(c).has_value());
  sandbox_spec s;
  s.id = "s";
  REQUIRE(engine->create_sandbox(s).has_value());
  REQUIRE(engine->create(c).has_value());
  CHECK(engine->create(c).error().code == 409);
  CHECK(engine->inspect("c")->phase == container_phase::created);
  REQUIRE(engine->start("c").has_value());
  CHECK(engine->inspect("c")->phase == container_phase::running);
  REQUIRE(engine->signal("c", 10).has_value());
  CHECK(exits.empty());
  REQUIRE(engine->signal("c", 15).has_value());
  REQUIRE(engine->signal("c", 9).has_value());
  REQUIRE(exits.size() == 1);
  CHECK(exits[0].exit_code == 143);
  CHECK(engine->remove("c").has_value());
  CHECK(engine->remove("c").has_value());
  CHECK_FALSE(engine->inspect("c").has_value());
  CHECK(engine->signal("c", 9).error().code == 404);
}

TEST_CASE("a hollow job ends by itself; what needs a process is refused in words") {
  auto engine = make_hollow_engine();
  int code = -1;
  engine->on_exit([&](const container_info& c) { code = c.exit_code; });
  sandbox_spec s;
  s.id = "s";
  REQUIRE(engine->create_sandbox(s).has_value());
  container_spec c;
  c.id = "c";
  c.sandbox_id = "s";
  c.labels = {{"hollow/exit-code", "4"}};
  REQUIRE(engine->create(c).has_value());
  REQUIRE(engine->start("c").has_value());
  CHECK(code == 4);
  CHECK(engine->exec_start("c", {"sh"}, false, false).error().message.find("simulated") != std::string::npos);
  REQUIRE(engine->remove_sandbox("s").has_value());
  CHECK(engine->containers().empty());
}
