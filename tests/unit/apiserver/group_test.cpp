// Masters of a group: what each may answer, when, and what a client is told when it may not.
#include "actors/support/calls.hpp"
#include "api_group.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace std::chrono_literals;
using test::api_group;
using test::heard;

namespace {

const std::string maps = "/api/v1/namespaces/default/configmaps";

std::string map_named(const std::string& name, const std::string& value = "1") {
  return R"({"metadata":{"name":")" + name + R"("},"data":{"v":")" + value + R"("}})";
}

std::string rv(const response_ptr& r) {
  return std::string(jq::str(api_group::body(r), {"metadata", "resourceVersion"}));
}

std::string retry_after(const response_ptr& r) {
  for (const auto& [name, value] : r->headers)
    if (name == "Retry-After") return value;
  return {};
}

} // namespace

TEST_CASE("group: the leader writes the first objects; a follower is ready when it has them") {
  api_group g;
  g.lab.hold(2);
  g.begin();
  CHECK(g.at(1).s->ready);
  CHECK(g.at(3).s->ready);
  CHECK(!g.at(2).s->ready);
  CHECK(g.lab.at(2).proposals == 0);
  CHECK(g.lab.at(3).proposals == 0);
  g.lab.release(2);
  g.lab.step(1s);
  CHECK(g.at(2).s->ready);
  CHECK(list_masters(*g.lab.at(2).view()).size() == 3);
}

TEST_CASE("group: a read on a lagging follower sees what was acknowledged before it began") {
  api_group g;
  g.begin();
  g.lab.hold(2);
  REQUIRE(g.code(1, "POST", maps, map_named("a")) == 201);
  CHECK(g.code(2, "GET", maps + "/a?resourceVersion=0") == 404); // asked for what is here
  auto get = g.call(2, "GET", maps + "/a"), list = g.call(2, "GET", maps + "?resourceVersion=");
  CHECK(!*get);
  CHECK(!*list);
  g.lab.release(2);
  g.lab.run();
  REQUIRE(*get);
  CHECK((*get)->code == 200);
  REQUIRE(*list);
  CHECK(jq::arr(api_group::body(*list), {"items"}).size() == 1);
}

TEST_CASE("group: reads through HTTP wait in the same way and are answered on the connection") {
  api_group g;
  g.begin();
  g.lab.hold(3);
  REQUIRE(g.code(1, "POST", maps, map_named("a")) == 201);
  heard stale, fresh;
  g.http(3, maps + "/a", "resourceVersion=0", stale);
  CHECK(stale.code() == 404);
  g.http(3, maps + "/a", "", fresh);
  CHECK(!fresh.answer);
  g.lab.release(3);
  g.lab.run();
  CHECK(fresh.code() == 200);
  CHECK(fresh.text().find("\"name\":\"a\"") != std::string::npos);
}

TEST_CASE("group: a revision that is ahead of a follower is waited for, one that is ahead of all is 504") {
  api_group g;
  g.begin();
  g.lab.hold(2);
  auto made = g.call(1, "POST", maps, map_named("a"));
  auto get = g.call(2, "GET", maps + "?resourceVersion=" + rv(*made) + "&resourceVersionMatch=NotOlderThan");
  CHECK(!*get);
  g.lab.release(2);
  g.lab.run();
  REQUIRE(*get);
  CHECK((*get)->code == 200);
  auto future = g.call(2, "GET", maps + "?resourceVersion=99999");
  REQUIRE(*future);
  CHECK((*future)->code == 504);
  CHECK((*future)->error->message.find("Too large resource version: 99999") != std::string::npos);
  heard watch;
  g.http(2, maps, "watch=1&resourceVersion=99999", watch);
  CHECK(watch.code() == 504);
  CHECK((*future)->error->causes.at(0).reason == "ResourceVersionTooLarge");
}

TEST_CASE("group: a watch on a lagging follower begins once the follower is there, and misses nothing") {
  api_group g;
  g.begin();
  auto a = g.call(1, "POST", maps, map_named("a"));
  g.lab.hold(2);
  auto b = g.call(1, "POST", maps, map_named("b"));
  REQUIRE(g.code(1, "POST", maps, map_named("c")) == 201);
  heard from_b, from_a, now;
  g.http(2, maps, "watch=1&resourceVersion=" + rv(*b), from_b);
  g.http(2, maps, "watch=1&resourceVersion=" + rv(*a), from_a);
  g.http(2, maps, "watch=1", now);
  CHECK(from_b.code() == 0);
  CHECK(from_a.code() == 200); // this far the follower is
  CHECK(now.code() == 0);
  g.lab.release(2);
  g.lab.run();
  for (auto* h : {&from_b, &from_a, &now})
    h->catch_up();
  CHECK(from_b.code() == 200);
  CHECK(from_b.streamed.find("\"name\":\"c\"") != std::string::npos);
  CHECK(from_b.streamed.find("\"name\":\"b\"") == std::string::npos);
  CHECK(from_a.streamed.find("\"name\":\"b\"") < from_a.streamed.find("\"name\":\"c\""));
  CHECK(now.streamed.find("\"name\":\"c\"") != std::string::npos);
}

TEST_CASE("group: without a leader reads and writes are refused with a reason, stale reads go on") {
  api_group g;
  g.begin();
  REQUIRE(g.code(1, "POST", maps, map_named("a")) == 201);
  g.lab.leaderless();
  auto get = g.call(2, "GET", maps + "/a"), write = g.call(3, "POST", maps, map_named("b"));
  for (const auto& r : {*get, *write}) {
    REQUIRE(r);
    CHECK(r->code == 503);
    CHECK(retry_after(r) == "1");
    CHECK(r->error->message.find("no leader") != std::string::npos);
  }
  CHECK(g.code(2, "GET", maps + "/a?resourceVersion=0") == 200);
  heard h;
  g.http(2, maps + "/a", "", h);
  CHECK(h.code() == 503);
  CHECK(h.header("Retry-After") == "1");
}

TEST_CASE("group: a refusal on a lagging follower rests on the newest state") {
  api_group g;
  g.begin();
  REQUIRE(g.code(1, "POST", maps, map_named("gone")) == 201);
  g.lab.hold(2);
  REQUIRE(g.code(1, "POST", maps, map_named("new")) == 201);
  REQUIRE(g.code(1, "DELETE", maps + "/gone") == 200);
  auto put = g.call(2, "PUT", maps + "/new", map_named("new", "2")), again = g.call(2, "POST", maps, map_named("gone"));
  CHECK(!*put);   // not 404
  CHECK(!*again); // not 409
  g.lab.release(2);
  g.lab.run();
  REQUIRE(*put);
  CHECK((*put)->code == 200);
  REQUIRE(*again);
  CHECK((*again)->code == 201);
  CHECK(g.code(2, "POST", maps, map_named("new")) == 409);
  CHECK(g.code(2, "DELETE", maps + "/never") == 404);
}

TEST_CASE("group: a write planned on an old state is planned again, and the answer is the one of its own place") {
  api_group g;
  g.begin();
  REQUIRE(g.code(1, "POST", maps, map_named("a")) == 201);
  g.lab.hold(2);
  REQUIRE(g.code(1, "PUT", maps + "/a", map_named("a", "2")) == 200);
  auto patch = g.call(2, "PUT", maps + "/a", map_named("a", "3"));
  CHECK(!*patch);
  g.lab.release(2);
  g.lab.run();
  REQUIRE(*patch);
  CHECK((*patch)->code == 200);
  CHECK(g.at(2).s->counted.conflicts_retried == 1);
  CHECK(jq::str(api_group::body(*g.call(3, "GET", maps + "/a")), {"data", "v"}) == "3");
}

TEST_CASE("group: two masters that plan on the same old state never give one address or port twice") {
  api_group g;
  g.begin();
  const std::string services = "/api/v1/namespaces/default/services";
  const auto service = [](const std::string& name) {
    return R"({"metadata":{"name":")" + name +
           R"("},"spec":{"type":"NodePort","selector":{"a":"b"},"ports":[{"port":80}]}})";
  };
  for (auto i : {2, 3})
    g.at(static_cast<std::uint64_t>(i)).s->options.node_port_last = 30003; // four ports, so that choices meet
  g.lab.hold(2);
  g.lab.hold(3);
  std::vector<std::shared_ptr<response_ptr>> answers;
  for (int i = 0; i < 2; ++i) {
    answers.push_back(g.call(2, "POST", services, service("two" + std::to_string(i))));
    answers.push_back(g.call(3, "POST", services, service("three" + std::to_string(i))));
  }
  g.lab.release(2);
  g.lab.release(3);
  g.lab.run();
  std::set<std::string> ips;
  std::set<std::int64_t> ports;
  for (const auto& a : answers) {
    REQUIRE(*a);
    REQUIRE((*a)->code == 201);
    const auto doc = api_group::body(*a);
    ips.emplace(jq::str(doc, {"spec", "clusterIP"}));
    ports.insert(jq::num(jq::arr(doc, {"spec", "ports"}).at(0), {"nodePort"}));
  }
  CHECK(ips.size() == 4);
  CHECK(ports.size() == 4);
}

TEST_CASE("group: the late write of a deposed leader's component is refused, one of the present term is not") {
  api_group g;
  g.begin();
  const auto then = g.lab.term();
  REQUIRE(*g.call(1, "POST", maps, map_named("a"), then));
  g.lab.lead(2);
  auto late = g.call(1, "POST", maps, map_named("b"), then),
       now = g.call(1, "POST", maps, map_named("c"), g.lab.term());
  CHECK((*late)->code == 409);
  CHECK((*late)->error->message.find("written for term " + std::to_string(then)) != std::string::npos);
  CHECK((*now)->code == 201);
  CHECK(g.code(2, "GET", maps + "/b") == 404);
}

TEST_CASE("group: whatever a component asks carries the term it was started in") {
  component_env env;
  env.fence_term = 7;
  const json::value doc = json::parse(R"({"metadata":{"name":"a","namespace":"b"}})");
  CHECK(calls::create(env, refs::pods, "b", doc)->fence_term == 7);
  CHECK(calls::create(env, refs::pods, "b", doc, "a", "binding")->fence_term == 7);
  CHECK(calls::update(env, refs::pods, doc)->fence_term == 7);
  CHECK(calls::merge_patch(env, refs::events, "b", "a", doc)->fence_term == 7);
  CHECK(calls::strategic_patch(env, refs::pods, "b", "a", doc, "status")->fence_term == 7);
  CHECK(calls::json_patch(env, refs::pods, "b", "a", doc)->fence_term == 7);
  CHECK(calls::remove(env, refs::pods, "b", "a")->fence_term == 7);
}

TEST_CASE("group: waiting reads are bounded, and a member out of service answers nothing") {
  api_group g;
  g.begin();
  g.at(2).s->counted.reads_waiting = troupe::limits::waiting_reads_max;
  auto many = g.call(2, "GET", maps);
  CHECK((*many)->code == 429);
  CHECK(!retry_after(*many).empty());
  g.at(2).s->counted.reads_waiting = 0;
  auto s = g.lab.at(3).group->now();
  s.out_of_service = "its state differs from the majority's";
  g.lab.at(3).group->set(s);
  for (const auto* path : {"", "?resourceVersion=0"}) {
    auto r = g.call(3, "GET", maps + path);
    CHECK((*r)->code == 503);
    CHECK((*r)->error->message.find("differs from the majority") != std::string::npos);
  }
  CHECK(g.code(3, "POST", maps, map_named("x")) == 503);
}
