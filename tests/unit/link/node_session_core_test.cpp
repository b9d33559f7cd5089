// What one node may see of the cluster, and who may have a session at all.
#include "actors/apiserver/node_authorizer.hpp"
#include "actors/link/link_limits.hpp"
#include "actors/link/node_session_core.hpp"
#include "actors/link/node_session_hello.hpp"
#include "api/rbac/authorizer.hpp"
#include "store/rescue_mark.hpp"
#include "store/state_machine.hpp"
#include "tests/support/api_lab.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::link;
using store::event_type;

namespace {

constexpr const char* pod_text = R"({"metadata":{"name":"p","namespace":"a","uid":"u"},"spec":{"nodeName":"w1",
  "imagePullSecrets":[{"name":"pull"}],
  "volumes":[{"name":"v1","secret":{"secretName":"vol"}},{"name":"v2","configMap":{"name":"cvol"}},
             {"name":"v3","projected":{"sources":[{"secret":{"name":"proj"}},{"configMap":{"name":"cproj"}}]}}],
  "initContainers":[{"name":"i","envFrom":[{"secretRef":{"name":"from"}},{"configMapRef":{"name":"cfrom"}}]}],
  "containers":[{"name":"c","env":[{"name":"X","valueFrom":{"secretKeyRef":{"name":"env","key":"k"}}},
                                   {"name":"Y","valueFrom":{"configMapKeyRef":{"name":"cenv","key":"k"}}}]}]}})";

const fed_table& table(std::string_view name) {
  for (const auto& t : fed_tables)
    if (t.table == name) return t;
  throw std::runtime_error("no such table");
}

/// A view and the events that led to it, by hand.
struct world {
  std::map<std::string, store::tree> trees;
  store::tree::stamp stamp = 1;
  store::revision rev = 0;

  store::event_ptr put(const std::string& t, const std::string& ns, const std::string& name, std::string bytes) {
    auto o = std::make_shared<store::object>();
    o->ns = ns;
    o->name = name;
    o->bytes = std::move(bytes);
    o->mod = ++rev;
    auto old = trees[t].put(o, stamp);
    auto e = std::make_shared<store::event>();
    e->type = old ? event_type::modified : event_type::added;
    e->rev = rev;
    e->current = o;
    e->previous = old;
    return e;
  }
  store::event_ptr erase(const std::string& t, const std::string& ns, const std::string& name) {
    auto old = trees[t].erase(ns, name, stamp);
    auto e = std::make_shared<store::event>();
    e->type = event_type::deleted;
    e->rev = ++rev;
    e->current = e->previous = old;
    return e;
  }
  store::view_ptr view() {
    ++stamp;
    std::vector<store::table_root> roots;
    for (const auto& [name, t] : trees)
      roots.push_back({std::make_shared<const std::string>(name), t});
    return std::make_shared<store::state_view>(roots, rev);
  }
};

std::string pod_with(const std::string& secret, const std::string& node) {
  return R"({"metadata":{"name":"p","namespace":"a"},"spec":{"nodeName":")" + node +
         R"(","volumes":[{"secret":{"secretName":")" + secret + R"("}}]}})";
}

std::vector<std::string> lines(const std::vector<feed_event>& all) {
  static constexpr const char* words[] = {"added ", "modified ", "deleted "};
  std::vector<std::string> out;
  for (const auto& e : all)
    out.push_back(words[static_cast<int>(e.type)] + e.table + " " + e.object->name + "@" + std::to_string(e.rev));
  return out;
}
using expect = std::vector<std::string>;

} // namespace

TEST_CASE("every ConfigMap and Secret a pod can refer to is found") {
  const auto refs = references_of(json::parse(pod_text));
  std::set<std::string> names;
  for (const auto& r : refs) {
    CHECK(r.ns == "a");
    CHECK(r.table == (r.name.front() == 'c' ? "configmaps" : "secrets"));
    names.insert(r.name);
  }
  CHECK(names == std::set<std::string>{"pull", "vol", "proj", "from", "env", "cvol", "cproj", "cfrom", "cenv"});
}

TEST_CASE("the scope of a node is what the node authorizer allows one by one") {
  test::api_lab lab;
  REQUIRE(lab.post("/api/v1/namespaces", R"({"metadata":{"name":"a"}})").code == 201);
  world w;
  w.put("pods", "a", "p", pod_text);
  identity node;
  node.user = "system:node:w1";
  node.groups = {"system:nodes"};
  const auto rules = lab.services().rbac->rules();
  auto refs = references_of(json::parse(pod_text));
  refs.insert({"secrets", "a", "another"});
  refs.insert({"secrets", "b", "vol"});
  node_scope scope("w1");
  scope.rebuild(*w.view());
  for (const auto& r : refs) {
    rbac::attributes a;
    a.verb = "get";
    a.resource = r.table;
    a.ns = r.ns;
    a.name = r.name;
    store::object o;
    o.ns = r.ns;
    o.name = r.name;
    CHECK(apiserver::node_authorizer(*rules, a, node, *w.view(), nullptr).allowed == scope.sees(table(r.table), o));
  }
}

TEST_CASE("a secret comes with the first pod that refers to it and goes with the last") {
  world w;
  node_scope scope("w1");
  w.put("secrets", "a", "s", "{}");
  w.put("secrets", "a", "other", "{}");
  scope.rebuild(*w.view());
  std::vector<feed_event> out;
  auto step = [&](const char* t, const store::event_ptr& e) {
    out.clear();
    scope.on(table(t), *e, *w.view(), out);
    return lines(out);
  };
  CHECK(step("pods", w.put("pods", "a", "p", pod_with("s", ""))) == expect{});   // not bound yet
  CHECK(step("pods", w.put("pods", "a", "p", pod_with("s", "w2"))) == expect{}); // another node's
  CHECK(step("pods", w.erase("pods", "a", "p")) == expect{});
  CHECK(step("pods", w.put("pods", "a", "p", pod_with("s", "w1"))) == expect{"added secrets s@6", "added pods p@6"});
  CHECK(step("pods", w.put("pods", "a", "q", pod_with("s", "w1"))) == expect{"added pods q@7"});
  CHECK(step("secrets", w.put("secrets", "a", "s", "{}")) == expect{"modified secrets s@8"});
  CHECK(step("secrets", w.put("secrets", "a", "other", "{}")) == expect{});
  CHECK(step("pods", w.erase("pods", "a", "p")) == expect{"deleted pods p@10"});
  CHECK(step("pods", w.erase("pods", "a", "q")) == expect{"deleted pods q@11", "deleted secrets s@11"});
  CHECK(step("secrets", w.put("secrets", "a", "s", "{}")) == expect{});
}

TEST_CASE(
    "a secret that does not exist yet is seen when it is made, and a pod that changes its mind loses the old one") {
  world w;
  node_scope scope("w1");
  w.put("secrets", "a", "old", "{}");
  w.put("pods", "a", "p", pod_with("old", "w1"));
  scope.rebuild(*w.view());
  std::vector<feed_event> out;
  auto change = w.put("pods", "a", "p", pod_with("new", "w1"));
  scope.on(table("pods"), *change, *w.view(), out);
  CHECK(lines(out) == expect{"deleted secrets old@3", "modified pods p@3"});
  out.clear();
  auto made = w.put("secrets", "a", "new", "{}");
  scope.on(table("secrets"), *made, *w.view(), out);
  CHECK(lines(out) == expect{"added secrets new@4"});
}

TEST_CASE("events of several tables are put in the order of the log, up to where all are known") {
  world w;
  std::vector<table_events> all;
  auto s1 = w.put("services", "a", "s1", "{}");
  auto n1 = w.put("nodes", "", "n1", "{}");
  auto s2 = w.put("services", "a", "s2", "{}");
  auto n2 = w.put("nodes", "", "n2", "{}");
  all.push_back({&table("nodes"), {n1, n2}});
  all.push_back({&table("services"), {s1, s2}});
  std::vector<std::string> names;
  for (const auto& [t, e] : in_order(all, 3))
    names.push_back(e->current->name);
  CHECK(names == expect{"s1", "n1", "s2"});
}

TEST_CASE("events are cut into batches, a large one alone") {
  std::vector<feed_event> events;
  for (std::size_t bytes : {100u, 200u, 300000u, 100u}) {
    auto o = std::make_shared<store::object>();
    o->bytes = std::string(bytes, 'x');
    events.push_back({event_type::added, "pods", events.size() + 1, o});
  }
  const auto batches = in_batches(events);
  REQUIRE(batches.size() == 3);
  CHECK(std::get<feed_events>(batches[0]).events.size() == 2);
  CHECK(std::get<feed_events>(batches[1]).events.size() == 1);
}

// ---------------------------------------------------------------- hello

namespace {
identity node_identity(const std::string& name) {
  identity i;
  i.user = "system:node:" + name;
  i.groups = {"system:nodes"};
  return i;
}
const door_facts facts{"m1", "abc123", "v1", false, 0, {}};
hello good() { return {limits::link::protocol_version, "abc123", "w1", "v1", 7}; }
} // namespace

TEST_CASE("who has no business here is told why, and both sides are named") {
  CHECK_FALSE(refuse_hello(good(), node_identity("w1"), "10.0.0.9:1", facts));
  auto h = good();
  h.cluster_id = "ffffff";
  CHECK(*refuse_hello(h, node_identity("w1"), "10.0.0.9:1", facts) ==
        "node w1 (10.0.0.9:1) belongs to cluster ffffff, but master m1 to cluster abc123: correct the addresses of its "
        "masters, or give it a data directory of its own");
  h = good();
  h.protocol = 99;
  CHECK(*refuse_hello(h, node_identity("w1"), "10.0.0.9:1", facts) ==
        "node w1 (10.0.0.9:1) runs Troupe v1 and speaks link protocol 99, but master m1 runs Troupe v1 and speaks link "
        "protocol 1: bring both to one version");
  CHECK(*refuse_hello(good(), node_identity("w2"), "10.0.0.9:1", facts) ==
        "node w1 (10.0.0.9:1) shows master m1 the certificate of node w2: every node needs a certificate of its own "
        "name");
  auto taken = facts;
  taken.life_of_name = 8;
  taken.address_of_name = "10.0.0.3:5";
  CHECK(refuse_hello(good(), node_identity("w1"), "10.0.0.9:1", taken)->find("10.0.0.3:5") != std::string::npos);
  taken.life_of_name = 7; // its own earlier session
  CHECK_FALSE(refuse_hello(good(), node_identity("w1"), "10.0.0.9:1", taken));
  taken = facts;
  taken.name_is_ours = true;
  CHECK(refuse_hello(good(), node_identity("w1"), "10.0.0.9:1", taken));
  CHECK(refuse_hello(good(), {}, "10.0.0.9:1", facts));
}

TEST_CASE("a node goes on only from a revision of the present history") {
  store::state_machine m;
  m.set_revision(100);
  CHECK(same_history(40, *m.snapshot()));
  CHECK(same_history(100, *m.snapshot()));
  CHECK_FALSE(same_history(101, *m.snapshot()));
  m.load(store::rescue_table, store::rescue_mark(5000)); // the state was put back
  m.set_revision(5003);
  CHECK_FALSE(same_history(100, *m.snapshot()));
  CHECK_FALSE(same_history(4999, *m.snapshot()));
  CHECK(same_history(5000, *m.snapshot()));
  CHECK_FALSE(same_history(5004, *m.snapshot()));
}

TEST_CASE("a client that is no node needs no node's name") {
  identity admin;
  admin.user = "kubernetes-admin";
  admin.groups = {"system:masters"};
  auto h = good();
  h.cluster_id.clear();
  CHECK_FALSE(refuse_hello(h, admin, "x", facts));
  CHECK(node_of_certificate(admin).empty());
  identity pretender; // a name without the group
  pretender.user = "system:node:w1";
  CHECK(node_of_certificate(pretender).empty());
}

TEST_CASE("a worker does not join another cluster's master either") {
  welcome w{limits::link::protocol_version, "abc123", "m1", "v1", {}, {}};
  CHECK_FALSE(refuse_welcome(w, "w1", "abc123", "h:1"));
  CHECK(*refuse_welcome(w, "w1", "ffffff", "h:1") ==
        "master m1 (h:1) belongs to cluster abc123, but node w1 to cluster ffffff: correct the addresses of its "
        "masters, or give it a data directory of its own");
  w.protocol = 2;
  CHECK(refuse_welcome(w, "w1", "abc123", "h:1"));
}
