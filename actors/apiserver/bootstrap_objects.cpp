#include "actors/apiserver/bootstrap.hpp"
#include "actors/apiserver/own_endpoints.hpp"
#include "actors/apiserver/own_roles.hpp"
#include "api/rbac/authorizer.hpp"
#include "api/schema/registry.hpp"

namespace troupe::apiserver {

namespace {

json::value doc(std::string_view text) { return json::parse(json::string_view(text.data(), text.size())); }

json::value name_space(const char* name) {
  auto v =
      doc(R"({"kind":"Namespace","apiVersion":"v1","metadata":{"labels":{}},"spec":{"finalizers":["kubernetes"]}})");
  jq::at(v, {"metadata", "name"}) = name;
  jq::at(v, {"metadata", "labels", "kubernetes.io/metadata.name"}) = name;
  return v;
}

json::value priority_class(const char* name, std::int64_t value, const char* what) {
  auto v = doc(
      R"({"kind":"PriorityClass","apiVersion":"scheduling.k8s.io/v1","metadata":{},"preemptionPolicy":"PreemptLowerPriority"})");
  jq::at(v, {"metadata", "name"}) = name;
  jq::at(v, {"value"}) = value;
  jq::at(v, {"description"}) = what;
  return v;
}

struct level {
  const char* name;
  int shares, lendable;
};

void add_flow_control(std::vector<json::value>& out) {
  const auto notes = doc(R"({"apf.kubernetes.io/autoupdate-spec":"true"})");
  for (const char* name : {"exempt"}) {
    auto v = doc(R"({"kind":"PriorityLevelConfiguration","apiVersion":"flowcontrol.apiserver.k8s.io/v1","metadata":{},
      "spec":{"type":"Exempt","exempt":{"nominalConcurrencyShares":0,"lendablePercent":0}}})");
    jq::at(v, {"metadata", "name"}) = name;
    jq::at(v, {"metadata", "annotations"}) = notes;
    out.push_back(std::move(v));
  }
  for (const level l :
       {level{"catch-all", 5, 0}, level{"system", 30, 33}, level{"node-high", 40, 25}, level{"leader-election", 10, 0},
        level{"workload-high", 40, 50}, level{"workload-low", 100, 90}, level{"global-default", 20, 50}}) {
    auto v = doc(R"({"kind":"PriorityLevelConfiguration","apiVersion":"flowcontrol.apiserver.k8s.io/v1","metadata":{},
      "spec":{"type":"Limited","limited":{"limitResponse":{"type":"Queue","queuing":{"queues":64,"handSize":6,"queueLengthLimit":50}}}}})");
    jq::at(v, {"metadata", "name"}) = l.name;
    jq::at(v, {"metadata", "annotations"}) = notes;
    jq::at(v, {"spec", "limited", "nominalConcurrencyShares"}) = l.shares;
    jq::at(v, {"spec", "limited", "lendablePercent"}) = l.lendable;
    if (std::string_view(l.name) == "catch-all")
      jq::at(v, {"spec", "limited", "limitResponse"}) = doc(R"({"type":"Reject"})");
    out.push_back(std::move(v));
  }
}

json::value everything_of(std::string_view group) {
  auto v = doc(R"([{"subjects":[{"kind":"Group","group":{"name":""}}],
    "resourceRules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"],"clusterScope":true,"namespaces":["*"]}],
    "nonResourceRules":[{"verbs":["*"],"nonResourceURLs":["*"]}]}])");
  v.as_array()[0].as_object()["subjects"].as_array()[0].as_object()["group"].as_object()["name"] = json::string(group);
  return v;
}

void add_flow_schemas(std::vector<json::value>& out) {
  struct flow {
    const char *name, *level;
    int precedence;
    const char* group;
  };
  for (const flow f :
       {flow{"exempt", "exempt", 1, "system:masters"}, flow{"probes", "exempt", 2, "system:unauthenticated"},
        flow{"system-leader-election", "leader-election", 100, "system:serviceaccounts:kube-system"},
        flow{"endpoint-controller", "workload-high", 150, "system:serviceaccounts:kube-system"},
        flow{"workload-leader-election", "leader-election", 200, "system:serviceaccounts"},
        flow{"system-node-high", "node-high", 400, "system:nodes"}, flow{"system-nodes", "system", 500, "system:nodes"},
        flow{"kube-controller-manager", "workload-high", 800, "system:authenticated"},
        flow{"kube-scheduler", "workload-high", 800, "system:authenticated"},
        flow{"kube-system-service-accounts", "workload-high", 900, "system:serviceaccounts:kube-system"},
        flow{"service-accounts", "workload-low", 9000, "system:serviceaccounts"},
        flow{"global-default", "global-default", 9900, "system:authenticated"},
        flow{"catch-all", "catch-all", 10000, "system:authenticated"}}) {
    auto v = doc(
        R"({"kind":"FlowSchema","apiVersion":"flowcontrol.apiserver.k8s.io/v1","metadata":{"annotations":{"apf.kubernetes.io/autoupdate-spec":"true"}},"spec":{"distinguisherMethod":{"type":"ByUser"}}})");
    jq::at(v, {"metadata", "name"}) = f.name;
    jq::at(v, {"spec", "matchingPrecedence"}) = f.precedence;
    jq::at(v, {"spec", "priorityLevelConfiguration", "name"}) = f.level;
    jq::at(v, {"spec", "rules"}) = everything_of(f.group);
    out.push_back(std::move(v));
  }
}

void add_api_services(std::vector<json::value>& out, sys_micros now) {
  const auto add = [&](const std::string& group, const std::string& version, int priority) {
    auto v = doc(
        R"({"kind":"APIService","apiVersion":"apiregistration.k8s.io/v1","metadata":{"labels":{"kube-aggregator.kubernetes.io/automanaged":"onstart"}},
      "spec":{},"status":{"conditions":[{"type":"Available","status":"True","reason":"Local","message":"Local APIServices are always available"}]}})");
    jq::at(v, {"metadata", "name"}) = version + "." + group;
    jq::at(v, {"spec", "group"}) = group;
    jq::at(v, {"spec", "version"}) = version;
    jq::at(v, {"spec", "groupPriorityMinimum"}) = group.empty() ? 18000 : 17000;
    jq::at(v, {"spec", "versionPriority"}) = priority;
    jq::at(v, {"status", "conditions"}).as_array()[0].as_object()["lastTransitionTime"] = format_time(now);
    out.push_back(std::move(v));
  };
  add("", "v1", 1);
  for (const auto& g : schema::registry::get().groups()) {
    int priority = static_cast<int>(g.versions.size()) + 9;
    if (g.name.empty()) continue;
    for (const auto& v : g.versions)
      add(g.name, v, v == g.preferred ? 15 : priority--);
  }
}

} // namespace

std::vector<json::value> bootstrap_objects(const services& s, sys_micros now, const std::vector<api_address>& up) {
  std::vector<json::value> out;
  for (const char* n : {"kube-system", "kube-public", "kube-node-lease", "default"})
    out.push_back(name_space(n));
  for (auto& v : rbac::bootstrap_rbac())
    out.push_back(std::move(v));
  for (auto& v : own_roles())
    out.push_back(std::move(v));
  out.push_back(priority_class(
      "system-cluster-critical", 2000000000,
      "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."));
  out.push_back(priority_class("system-node-critical", 2000001000,
                               "Used for system critical pods that must not be moved from their current node."));
  for (auto& v : own_service_objects(s, up))
    out.push_back(std::move(v));
  auto authentication = doc(
      R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"extension-apiserver-authentication","namespace":"kube-system"},"data":{}})");
  jq::at(authentication, {"data", "client-ca-file"}) = s.options.pki->ca_pem;
  out.push_back(std::move(authentication));
  add_flow_control(out);
  add_flow_schemas(out);
  add_api_services(out, now);
  return out;
}

} // namespace troupe::apiserver
