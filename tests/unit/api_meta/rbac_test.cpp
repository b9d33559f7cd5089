#include "api/rbac/authorizer.hpp"

#include "api/meta/object_meta.hpp"
#include "tests/unit/api_meta/fixture.hpp"

#include <chrono>

using namespace troupe;
using test::yaml;

namespace {

rbac::rbac_table sample() {
  rbac::rbac_table t;
  for (auto text : {
           "{kind: ClusterRole, metadata: {name: reader}, rules: [{verbs: [get, list, watch], apiGroups: [''], "
           "resources: [pods, pods/log]}]}",
           "{kind: ClusterRole, metadata: {name: scaler}, rules: [{verbs: [update], apiGroups: ['*'], resources: "
           "['*/scale']}]}",
           "{kind: ClusterRole, metadata: {name: urls}, rules: [{verbs: [get], nonResourceURLs: [/healthz, "
           "'/metrics/*']}]}",
           "{kind: Role, metadata: {name: one-map, namespace: ns}, rules: [{verbs: [get, update], apiGroups: [''], "
           "resources: [configmaps], resourceNames: [m]}]}",
           "{kind: ClusterRoleBinding, metadata: {name: b1}, roleRef: {kind: ClusterRole, name: urls}, subjects: "
           "[{kind: Group, name: dev}]}",
           "{kind: RoleBinding, metadata: {name: b2, namespace: ns}, roleRef: {kind: ClusterRole, name: reader}, "
           "subjects: [{kind: User, name: jane}]}",
           "{kind: RoleBinding, metadata: {name: b3, namespace: ns}, roleRef: {kind: Role, name: one-map}, subjects: "
           "[{kind: ServiceAccount, name: sa, namespace: other}]}",
           "{kind: RoleBinding, metadata: {name: b4, namespace: ns}, roleRef: {kind: ClusterRole, name: scaler}, "
           "subjects: [{kind: User, name: jane}]}",
           "{kind: RoleBinding, metadata: {name: b5, namespace: ns}, roleRef: {kind: Role, name: absent}, subjects: "
           "[{kind: User, name: jane}]}",
       })
    t.upsert(yaml(text));
  return t;
}

rbac::attributes ask(std::string_view verb, std::string_view resource, std::string_view ns, std::string_view name = {},
                     std::string_view sub = {}, std::string_view group = {}) {
  rbac::attributes a;
  a.verb = verb;
  a.resource = resource;
  a.ns = ns;
  a.name = name;
  a.subresource = sub;
  a.group = group;
  return a;
}

rbac::attributes ask_path(std::string_view path) {
  rbac::attributes a;
  a.verb = "get";
  a.path = path;
  return a;
}

identity user(std::string name, std::vector<std::string> groups = {}) {
  return {std::move(name), "", std::move(groups), {}};
}

} // namespace

TEST_CASE("a role binding grants inside its namespace only") {
  auto t = sample();
  const auto rules = t.snapshot();
  const auto jane = user("jane", {"system:authenticated"});
  CHECK(rules->allows(ask("get", "pods", "ns"), jane));
  CHECK(rules->allows(ask("get", "pods", "ns", "p", "log"), jane));
  CHECK_FALSE(rules->allows(ask("get", "pods", "ns", "p", "exec"), jane));
  CHECK_FALSE(rules->allows(ask("get", "pods", "m"), jane));
  CHECK_FALSE(rules->allows(ask("list", "pods", ""), jane));
  CHECK_FALSE(rules->allows(ask("delete", "pods", "ns"), jane));
  CHECK_FALSE(rules->allows(ask("get", "pods", "ns", "", "", "metrics.k8s.io"), jane));
  CHECK(rules->allows(ask("update", "deployments", "ns", "d", "scale", "apps"), jane));
  CHECK_FALSE(rules->allows(ask("update", "deployments", "ns", "d", "status", "apps"), jane));
}

TEST_CASE("resource names limit a rule to objects of that name") {
  auto t = sample();
  const auto rules = t.snapshot();
  const auto sa = user("system:serviceaccount:other:sa");
  CHECK(rules->allows(ask("get", "configmaps", "ns", "m"), sa));
  CHECK_FALSE(rules->allows(ask("get", "configmaps", "ns", "x"), sa));
  CHECK_FALSE(rules->allows(ask("get", "configmaps", "ns"), sa));
  CHECK_FALSE(rules->allows(ask("get", "configmaps", "ns", "m"), user("system:serviceaccount:ns:sa")));
}

TEST_CASE("paths outside resources are granted cluster-wide, with a trailing star") {
  auto t = sample();
  const auto rules = t.snapshot();
  const auto dev = user("x", {"dev"});
  CHECK(rules->allows(ask_path("/healthz"), dev));
  CHECK(rules->allows(ask_path("/metrics/slis"), dev));
  CHECK_FALSE(rules->allows(ask_path("/healthz/etcd"), dev));
  CHECK_FALSE(rules->allows(ask_path("/healthz"), user("x")));
}

TEST_CASE("system:masters may do everything and others nothing without a rule") {
  auto t = sample();
  const auto rules = t.snapshot();
  CHECK(rules->allows(ask("fly", "moons", "ns", "", "", "x.io"), user("root", {"system:masters"})));
  CHECK(rules->allows(ask_path("/anything"), user("root", {"system:masters"})));
  CHECK_FALSE(rules->allows(ask("get", "pods", "ns"), user("nobody")));
}

TEST_CASE("decisions say why") {
  auto t = sample();
  const auto rules = t.snapshot();
  CHECK(rules->authorize(ask("get", "pods", "ns"), user("jane")).reason ==
        "RBAC: allowed by RoleBinding \"b2/ns\" of ClusterRole \"reader\" to User \"jane\"");
  CHECK(rules->authorize(ask_path("/healthz"), user("x", {"dev"})).reason ==
        "RBAC: allowed by ClusterRoleBinding \"b1\" of ClusterRole \"urls\" to Group \"dev\"");
  CHECK(rbac::denial(ask("get", "pods", "ns", "p", "log"), user("joe")) ==
        "User \"joe\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"ns\"");
  CHECK(rbac::denial(ask("list", "nodes", ""), user("joe")) ==
        "User \"joe\" cannot list resource \"nodes\" in API group \"\" at the cluster scope");
  CHECK(rbac::denial(ask_path("/metrics"), user("joe")) == "User \"joe\" cannot get path \"/metrics\"");
}

TEST_CASE("a snapshot does not change when the table does") {
  auto t = sample();
  const auto before = t.snapshot();
  CHECK(t.snapshot() == before);
  t.erase("RoleBinding", "ns", "b2");
  const auto after = t.snapshot();
  CHECK(before->allows(ask("get", "pods", "ns"), user("jane")));
  CHECK_FALSE(after->allows(ask("get", "pods", "ns"), user("jane")));
  t.upsert(yaml("{kind: Role, metadata: {name: absent, namespace: ns}, rules: [{verbs: ['*'], apiGroups: ['*'], "
                "resources: ['*']}]}"));
  CHECK(t.snapshot()->allows(ask("fly", "moons", "ns", "", "", "x.io"), user("jane")));
}

TEST_CASE("nobody grants what they do not hold") {
  auto t = sample();
  const auto rules = t.snapshot();
  const std::vector<rbac::policy_rule> less{{{"get"}, {""}, {"pods"}, {}, {}}};
  const std::vector<rbac::policy_rule> named{{{"get", "list"}, {""}, {"pods", "pods/log"}, {"a", "b"}, {}}};
  const std::vector<rbac::policy_rule> more{{{"get", "delete"}, {""}, {"pods"}, {}, {}}};
  const std::vector<rbac::policy_rule> all{{{"*"}, {"*"}, {"*"}, {}, {}}};
  CHECK(rules->uncovered(user("jane"), "ns", less).empty());
  CHECK(rules->uncovered(user("jane"), "ns", named).empty());
  CHECK(rules->uncovered(user("jane"), "m", less).size() == 1);
  CHECK(rules->uncovered(user("jane"), "ns", more).size() == 1);
  CHECK(rules->uncovered(user("jane"), "ns", all).size() == 1);
  CHECK(rules->uncovered(user("root", {"system:masters"}), "", all).empty());
  CHECK(rbac::escalation_denial(user("jane", {"a", "b"}), more) ==
        "user \"jane\" (groups=[\"a\" \"b\"]) is attempting to grant RBAC permissions not currently held:\n"
        "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\", \"delete\"]}");
}

TEST_CASE("covering agrees with deciding, for random rules and questions") {
  random_source r{4};
  const std::vector<std::string> verbs{"get", "list", "*"}, groups{"", "apps", "*"},
      resources{"pods", "pods/log", "*", "*/log"}, names{"a", "b"};
  const auto pick = [&](const std::vector<std::string>& from, std::uint64_t least) {
    std::vector<std::string> out;
    for (auto n = least + r.below(2); n-- > 0;)
      out.push_back(from[r.below(from.size())]);
    return out;
  };
  const auto make = [&] {
    return rbac::policy_rule{pick(verbs, 1), pick(groups, 1), pick(resources, 1), pick(names, 0), {}};
  };
  for (int i = 0; i < 3000; ++i) {
    const std::vector<rbac::policy_rule> held{make(), make()};
    const auto wanted = make();
    rbac::rbac_table t;
    const auto put = [&](const char* name, std::span<const rbac::policy_rule> list) {
      json::value role = yaml("{kind: ClusterRole, metadata: {}}");
      jq::at(role, {"metadata", "name"}) = name;
      json::array rules;
      for (const auto& x : list)
        rules.push_back(x.to_json());
      role.as_object()["rules"] = std::move(rules);
      t.upsert(role);
      auto b = yaml("{kind: ClusterRoleBinding, metadata: {}, roleRef: {kind: ClusterRole}, subjects: [{kind: User}]}");
      jq::at(b, {"metadata", "name"}) = name;
      jq::at(b, {"roleRef", "name"}) = name;
      b.at("subjects").as_array()[0].as_object()["name"] = name;
      t.upsert(b);
    };
    put("holder", held);
    put("wanter", std::span{&wanted, 1});
    const auto rules = t.snapshot();
    if (!rbac::covers(held, wanted)) continue;
    for (auto verb : {"get", "list", "watch"})
      for (auto group : {"", "apps", "x"})
        for (auto name : {"", "a", "b", "c"})
          for (auto sub : {"", "log", "exec"}) {
            const auto a = ask(verb, "pods", "ns", name, sub, group);
            if (rules->allows(a, user("wanter"))) CHECK(rules->allows(a, user("holder")));
          }
  }
}

TEST_CASE("the default objects are complete and let the known users do their work") {
  rbac::rbac_table t;
  const auto objects = rbac::bootstrap_rbac();
  CHECK(objects.size() == 64 + 45 + 7 + 7);
  for (const auto& o : objects) {
    CHECK(meta::label(o, "kubernetes.io/bootstrapping") == "rbac-defaults");
    CHECK(meta::annotation(o, "rbac.authorization.kubernetes.io/autoupdate") == "true");
    t.upsert(o);
    auto doc = o;
    test::normalize(doc);
    CHECK(test::message_of(doc, test::create_faults(doc)) == "ok");
  }
  const auto rules = t.snapshot();
  CHECK(rules->allows(ask("update", "leases", "kube-system", "kube-scheduler", "", "coordination.k8s.io"),
                      user("system:kube-scheduler")));
  CHECK(rules->allows(ask_path("/version"), user("jane", {"system:authenticated"})));
  CHECK(rules->allows(ask("create", "selfsubjectaccessreviews", "", "", "", "authorization.k8s.io"),
                      user("jane", {"system:authenticated"})));
  CHECK_FALSE(rules->allows(ask("get", "secrets", "default"), user("jane", {"system:authenticated"})));
  const auto admin = rules->role_rules("", "ClusterRole", "admin");
  const auto edit = rules->role_rules("", "ClusterRole", "edit");
  const auto view = rules->role_rules("", "ClusterRole", "view");
  REQUIRE((admin && edit && view));
  CHECK(admin->size() > edit->size());
  CHECK(edit->size() > view->size());
  for (const auto& rule : *view)
    CHECK(rbac::covers(*admin, rule));
}

TEST_CASE("a decision is made in about a microsecond") {
  rbac::rbac_table t;
  for (const auto& o : rbac::bootstrap_rbac())
    t.upsert(o);
  const auto rules = t.snapshot();
  const auto who = user("system:kube-controller-manager", {"system:authenticated"});
  const auto a = ask("update", "deployments", "default", "d", "status", "apps");
  constexpr int rounds = 20000;
  int allowed = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < rounds; ++i)
    allowed += rules->allows(a, who);
  const auto each =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count() / rounds;
  MESSAGE("decision: ", each, " ns, allowed ", allowed > 0);
}
