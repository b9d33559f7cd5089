#include "actors/apiserver/own_roles.hpp"

#include <string>

namespace troupe::apiserver {

namespace {

json::array words(std::initializer_list<const char*> list) {
  json::array out;
  for (const char* w : list)
    out.emplace_back(w);
  return out;
}

json::object rule(json::array verbs, json::array groups, json::array resources) {
  return {{"verbs", std::move(verbs)}, {"apiGroups", std::move(groups)}, {"resources", std::move(resources)}};
}

json::object meta(const std::string& name) {
  return {{"name", name},
          {"labels", {{"kubernetes.io/bootstrapping", "rbac-defaults"}}},
          {"annotations", {{"rbac.authorization.kubernetes.io/autoupdate", "true"}}}};
}

void grant(std::vector<json::value>& out, const std::string& name, const std::string& user, json::array rules) {
  out.push_back(json::object{{"kind", "ClusterRole"},
                             {"apiVersion", "rbac.authorization.k8s.io/v1"},
                             {"metadata", meta(name)},
                             {"rules", std::move(rules)}});
  json::object subject{{"kind", "User"}, {"apiGroup", "rbac.authorization.k8s.io"}, {"name", user}};
  json::object role{{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "ClusterRole"}, {"name", name}};
  out.push_back(json::object{{"kind", "ClusterRoleBinding"},
                             {"apiVersion", "rbac.authorization.k8s.io/v1"},
                             {"metadata", meta(name)},
                             {"subjects", json::array{std::move(subject)}},
                             {"roleRef", std::move(role)}});
}

} // namespace

std::vector<json::value> own_roles() {
  std::vector<json::value> out;
  json::array controllers;
  // Garbage collection and namespace deletion concern every kind there is.
  controllers.push_back(rule(words({"get", "list", "watch", "patch", "update", "delete", "deletecollection"}),
                             words({"*"}), words({"*"})));
  controllers.push_back(rule(words({"create"}), words({""}),
                             words({"pods", "endpoints", "endpoints/restricted", "serviceaccounts", "configmaps",
                                    "events", "pods/eviction"})));
  controllers.push_back(rule(words({"create"}), words({"apps"}), words({"replicasets", "controllerrevisions"})));
  controllers.push_back(rule(words({"create"}), words({"batch"}), words({"jobs"})));
  controllers.push_back(
      rule(words({"create"}), words({"discovery.k8s.io"}), words({"endpointslices", "endpointslices/restricted"})));
  controllers.push_back(
      rule(words({"escalate", "bind"}), words({"rbac.authorization.k8s.io"}), words({"clusterroles", "roles"})));
  grant(out, "troupe:controllers", "system:kube-controller-manager", std::move(controllers));

  json::array dns;
  dns.push_back(rule(words({"list", "watch"}), words({""}), words({"namespaces"})));
  dns.push_back(
      rule(words({"get", "list", "watch", "create", "update", "patch", "delete"}), words({""}), words({"services"})));
  dns.push_back(rule(words({"get", "list", "watch", "create", "update", "patch", "delete"}),
                     words({"discovery.k8s.io"}), words({"endpointslices", "endpointslices/restricted"})));
  dns.push_back(rule(words({"create", "patch", "update"}), words({""}), words({"events"})));
  grant(out, "troupe:dns", "system:troupe-dns", std::move(dns));

  json::array proxy;
  proxy.push_back(rule(words({"create", "patch", "update"}), words({"", "events.k8s.io"}), words({"events"})));
  grant(out, "troupe:proxy", "system:kube-proxy", std::move(proxy));
  return out;
}

} // namespace troupe::apiserver
