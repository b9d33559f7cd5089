#include "actors/controllers/garbage/garbage_collector.hpp"
#include "actors/controllers/namespaces/namespace_controller.hpp"
#include "tests/unit/controllers/sim.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

struct garbage : sim {
  explicit garbage(std::uint64_t seed) : sim(seed) {
    kubelets = false;
    add<ctl::garbage_collector>("garbage-collector-controller");
    add<ctl::namespace_controller>("namespace-controller");
  }
  std::string uid(const std::string& name, const std::string& ns = "a") {
    return api.get("configmaps", ns, name)->meta().uid;
  }
  static std::string reference(const std::string& name, const std::string& uid, bool block = false) {
    return R"({"apiVersion":"v1","kind":"ConfigMap","name":")" + name + R"(","uid":")" + uid +
           R"(","blockOwnerDeletion":)" + (block ? "true}" : "false}");
  }
  void make(const std::string& name, const std::vector<std::string>& owners = {}, const std::string& ns = "a") {
    std::string list;
    for (const auto& o : owners)
      list += (list.empty() ? "" : ",") + o;
    api.put("configmaps", R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + name +
                              R"(","namespace":")" + ns + R"(","ownerReferences":[)" + list + "]}}");
  }
  void remove(const std::string& name, std::string_view how = "Background", const std::string& ns = "a") {
    request r;
    r.what = verb::delete_;
    r.version = "v1";
    r.plural = "configmaps";
    r.ns = ns;
    r.name = name;
    r.body = std::make_shared<const json::value>(json::object{{"propagationPolicy", how}});
    api.handle(r);
  }
  bool there(const std::string& name, const std::string& ns = "a") {
    return api.get("configmaps", ns, name) != nullptr;
  }
  std::size_t owners(const std::string& name) { return meta::owners(api.doc("configmaps", "a", name)).size(); }
};

} // namespace

TEST_CASE("dependents follow their owner in the background, grandchildren too") {
  garbage g{1};
  g.start();
  g.make("owner");
  g.make("child", {g.reference("owner", g.uid("owner"))});
  g.make("grandchild", {g.reference("child", g.uid("child"))});
  g.make("stranger");
  g.run_for(1s);
  CHECK(g.there("child"));
  g.remove("owner");
  g.run_for(1s);
  CHECK_FALSE(g.there("child"));
  CHECK_FALSE(g.there("grandchild"));
  CHECK(g.there("stranger"));
}

TEST_CASE("a dependent with one owner left stays and loses the reference to the gone one") {
  garbage g{1};
  g.start();
  g.make("one");
  g.make("two");
  g.make("child", {g.reference("one", g.uid("one")), g.reference("two", g.uid("two"))});
  g.run_for(1s);
  g.remove("one");
  g.run_for(1s);
  CHECK(g.there("child"));
  CHECK(g.owners("child") == 1);
}

TEST_CASE("orphaning keeps the dependents and cuts the reference") {
  garbage g{1};
  g.start();
  g.make("owner");
  g.make("child", {g.reference("owner", g.uid("owner"))});
  g.run_for(1s);
  g.remove("owner", "Orphan");
  g.run_for(2s);
  CHECK_FALSE(g.there("owner"));
  CHECK(g.there("child"));
  CHECK(g.owners("child") == 0);
}

TEST_CASE("foreground deletion waits for the blocking dependents") {
  garbage g{1};
  g.start();
  g.make("owner");
  g.make("blocking", {g.reference("owner", g.uid("owner"), true)});
  g.make("other", {g.reference("owner", g.uid("owner"), false)});
  auto held = g.api.doc("configmaps", "a", "blocking");
  meta::add_finalizer(held, "example.com/hold");
  g.api.put("configmaps", std::move(held));
  g.run_for(1s);
  g.remove("owner", "Foreground");
  g.run_for(5s);
  CHECK(g.there("owner"));
  CHECK(g.there("blocking"));
  CHECK_FALSE(g.there("other"));
  g.api.erase("configmaps", "a", "blocking");
  g.run_for(1s);
  CHECK_FALSE(g.there("owner"));
}

TEST_CASE("owners in another namespace, of another uid or of unknown kind are judged as the rules say") {
  garbage g{1};
  g.start();
  g.make("owner", {}, "b");
  g.make("elsewhere", {g.reference("owner", g.uid("owner", "b"))});
  g.make("wrong-uid", {g.reference("elsewhere", "uid-of-nobody")});
  g.make("unknown-kind", {R"({"apiVersion":"example.com/v1","kind":"Widget","name":"w","uid":"w-1"})"});
  g.run_for(2s);
  CHECK_FALSE(g.there("elsewhere"));
  CHECK_FALSE(g.there("wrong-uid"));
  CHECK(g.there("unknown-kind"));
}

TEST_CASE("objects whose owner went while nobody watched are found at start") {
  garbage g{1};
  g.make("owner");
  g.make("child", {g.reference("owner", g.uid("owner"))});
  g.api.erase("configmaps", "a", "owner");
  g.start();
  g.run_for(1s);
  CHECK_FALSE(g.there("child"));
}

TEST_CASE("random ownership graphs end with exactly what is still reachable") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    garbage g{seed};
    g.start();
    g.chaos = true;
    std::map<std::string, std::vector<std::string>> owners; // model; owners have lower numbers: no cycles
    for (int i = 0; i < 25; ++i) {
      auto name = "o" + std::to_string(i);
      std::vector<std::string> refs, mine;
      for (std::uint64_t k = g.rng.below(3); k > 0 && i > 0; --k) {
        auto o = "o" + std::to_string(g.rng.below(static_cast<std::uint64_t>(i)));
        if (!g.there(o) || std::find(mine.begin(), mine.end(), o) != mine.end()) continue;
        mine.push_back(o);
        refs.push_back(g.reference(o, g.uid(o), g.rng.below(2) == 0));
      }
      g.make(name, refs);
      owners[name] = mine;
      if (g.rng.below(4) == 0) g.step();
    }
    std::set<std::string> alive;
    for (const auto& [name, list] : owners)
      alive.insert(name);
    for (int i = 0; i < 6; ++i) {
      auto name = "o" + std::to_string(g.rng.below(25));
      g.remove(name, g.rng.below(2) ? "Background" : "Foreground");
      alive.erase(name);
      for (std::uint64_t k = g.rng.below(10); k > 0; --k)
        g.step();
    }
    for (bool again = true; again;) { // had owners, none left: goes
      again = false;
      for (const auto& [name, list] : owners)
        if (alive.contains(name) && !list.empty() &&
            std::none_of(list.begin(), list.end(), [&](const auto& o) { return alive.contains(o); }))
          again = alive.erase(name) > 0;
    }
    g.run_for(60s);
    g.chaos = false;
    g.run_for(10s);
    std::set<std::string> left;
    for (const auto& o : g.api.all("configmaps"))
      left.insert(o->name);
    CHECK(left == alive);
  }
}

TEST_CASE("a namespace empties, tells what holds it, and goes when nothing is left") {
  garbage g{1};
  g.start();
  g.api.put("namespaces", R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"},
    "spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}})");
  for (int i = 0; i < 300; ++i)
    g.make("c" + std::to_string(i));
  g.make("kept", {}, "b");
  g.api.put("pods", R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"a","finalizers":["x/y"]},
    "spec":{"nodeName":"n1"}})");
  request r;
  r.what = verb::delete_;
  r.version = "v1";
  r.plural = "namespaces";
  r.name = "a";
  g.api.handle(r);
  g.run_for(3s);
  CHECK(g.api.all("configmaps").size() == 1);
  auto ns = g.api.doc("namespaces", "", "a");
  std::map<std::string, std::string> conditions;
  for (const auto& c : jq::arr(ns, {"status", "conditions"}))
    conditions[std::string{jq::str(c, {"type"})}] = jq::str(c, {"message"});
  CHECK(conditions["NamespaceContentRemaining"] == "Some resources are remaining: pods. has 1 resource instances");
  CHECK(conditions["NamespaceFinalizersRemaining"] ==
        "Some content in the namespace has finalizers remaining: x/y in 1 resource instances");
  g.api.erase("pods", "a", "p");
  g.run_for(1s);
  CHECK(g.api.get("namespaces", "", "a") == nullptr);
  CHECK(g.api.get("configmaps", "b", "kept") != nullptr);
}
