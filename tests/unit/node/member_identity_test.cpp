#include "actors/node/member_identity.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using namespace troupe::node;
using how = member_decision::how;

namespace {

cluster_identity cluster(std::set<std::string> begun = {}) {
  cluster_identity c;
  c.id = "0a1b2c";
  c.founders = {{"m1", 1}, {"m2", 2}, {"m3", 3}};
  c.begun = std::move(begun);
  return c;
}

member_record record(std::uint64_t member, bool begun) { return {"0a1b2c", "m2", member, "5ee7", begun}; }

troupe::result<member_decision> decide(const cluster_identity& c, std::optional<member_record> r, bool store,
                                       const std::string& node = "m2") {
  return decide_member(c, node, r, store, "/data/" + node);
}

std::string refusal(const troupe::result<member_decision>& r) {
  REQUIRE(r.has_error());
  return r.error().message;
}

} // namespace

TEST_CASE("a founder begins once, under the id of cluster.json") {
  const auto d = decide(cluster(), std::nullopt, false);
  REQUIRE(d.has_value());
  CHECK(d->what == how::founds);
  CHECK(d->member == 2);
}

TEST_CASE("a founder whose directory vanished waits for a new id") {
  CHECK(decide(cluster({"m2"}), std::nullopt, false)->what == how::waits);
}

TEST_CASE("a lone founder whose store is gone does not begin anew: nobody else has its data") {
  auto c = cluster({"m2"});
  c.founders = {{"m2", 1}};
  c.alone.node = "m2";
  for (const auto& had : {std::optional<member_record>{}, std::optional{record(1, true)}})
    CHECK(refusal(decide(c, had, false)).find("nobody else has it") != std::string::npos);
  c.alone.grew = true; // then the others have it
  CHECK(decide(c, std::nullopt, false)->what == how::waits);
  CHECK(refusal(decide(c, record(1, true), false)).find("troupe master remove m2") != std::string::npos);
}

TEST_CASE("a master that is no founder waits until it was added, then joins under its id") {
  CHECK(decide(cluster(), std::nullopt, false, "m4")->what == how::waits);
  const auto d = decide(cluster({"m2"}), record(7, false), false);
  REQUIRE(d.has_value());
  CHECK(d->what == how::joins);
  CHECK(d->member == 7);
}

TEST_CASE("a process that died between record and store has lost nothing") {
  const auto d = decide(cluster(), record(2, false), false);
  REQUIRE(d.has_value());
  CHECK(d->what == how::founds);
}

TEST_CASE("a member returns to its store") {
  for (bool begun : {false, true}) {
    const auto d = decide(cluster({"m2"}), record(2, begun), true);
    REQUIRE(d.has_value());
    CHECK(d->what == how::returns);
    CHECK(d->member == 2);
  }
}

TEST_CASE("a store that is gone is never replaced under the same id") {
  CHECK(refusal(decide(cluster({"m2"}), record(2, true), false)).find("must not vote again") != std::string::npos);
  CHECK(refusal(decide(cluster({"m2"}), record(2, false), false)).find("troupe master remove m2") != std::string::npos);
  CHECK(refusal(decide(cluster(), record(9, true), false)).find("was member 9") != std::string::npos);
}

TEST_CASE("a directory of another cluster or node is refused with both names") {
  auto foreign = record(2, true);
  foreign.cluster = "ffffff";
  const auto why = refusal(decide(cluster(), foreign, true));
  CHECK(why.find("cluster ffffff") != std::string::npos);
  CHECK(why.find("cluster 0a1b2c") != std::string::npos);
  const auto copy = refusal(decide(cluster(), record(2, true), true, "m1"));
  CHECK(copy.find("that of node m2") != std::string::npos);
  CHECK(copy.find("this node is m1") != std::string::npos);
}

TEST_CASE("a store without a record is not guessed at") {
  CHECK(refusal(decide(cluster(), std::nullopt, true)).find("no member.json") != std::string::npos);
}

TEST_CASE("what is written about a member is read back whole") {
  char dir[] = "/tmp/troupe-member-XXXXXX";
  REQUIRE(mkdtemp(dir));
  CHECK_FALSE(read_member(dir)->has_value());
  const member_record r{"0a1b2c", "m2", 7, "5ee7", true};
  REQUIRE(write_member(dir, r).has_value());
  const auto again = read_member(dir);
  REQUIRE(again.has_value());
  CHECK(**again == r);
  std::filesystem::remove_all(dir);
}
