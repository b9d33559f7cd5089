// ServiceAccount: a pod runs as an account that exists, with its token mounted.
#include "actors/apiserver/admission/admission.hpp"

namespace troupe::apiserver::plugins {

namespace {

constexpr const char* mount_path = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::int64_t token_seconds = 3607; // as kube-apiserver: tells injected tokens from asked-for ones

bool wants_token(const json::value& pod, const json::value& account) {
  if (const auto* v = jq::find(pod, {"spec", "automountServiceAccountToken"}); v && v->is_bool()) return v->get_bool();
  if (const auto* v = jq::find(account, {"automountServiceAccountToken"}); v && v->is_bool()) return v->get_bool();
  return true;
}

json::value token_volume(const std::string& name) {
  static const json::value projected = json::parse(R"({"sources":[
    {"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},
    {"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},
    {"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}
  ],"defaultMode":420})");
  json::object v;
  v["name"] = name;
  v["projected"] = projected;
  return v;
}

bool has_token_volume(const json::value& pod, std::string& name) {
  for (const auto& v : jq::arr(pod, {"spec", "volumes"}))
    for (const auto& s : jq::arr(v, {"projected", "sources"}))
      if (jq::num(s, {"serviceAccountToken", "expirationSeconds"}) == token_seconds) {
        name = jq::str(v, {"name"});
        return true;
      }
  return false;
}

bool mounts_there(const json::value& container) {
  for (const auto& m : jq::arr(container, {"volumeMounts"}))
    if (jq::str(m, {"mountPath"}) == mount_path) return true;
  return false;
}

/// Adds the mount to every container that has none at the path; true when some took it.
bool mount(json::value& pod, const std::string& volume) {
  bool used = false;
  for (const char* list : {"initContainers", "containers"}) {
    auto* all = jq::find(pod, {"spec", list});
    if (!all || !all->is_array()) continue;
    for (auto& c : all->get_array()) {
      if (mounts_there(c)) continue;
      json::object m;
      m["name"] = volume;
      m["readOnly"] = true;
      m["mountPath"] = mount_path;
      auto& mounts = jq::at(c, {"volumeMounts"});
      if (!mounts.is_array()) mounts = json::array{};
      mounts.get_array().push_back(std::move(m));
      used = true;
    }
  }
  return used;
}

} // namespace

result<void> service_account(admission_context& c, json::value& obj) {
  if (c.op != admission_op::create) return {};
  if (jq::str(obj, {"metadata", "annotations", "kubernetes.io/config.mirror"}).size() > 0) return {};
  const auto about = [&](std::string why) {
    return errors::forbidden(c.about(), jq::str(obj, {"metadata", "name"}), why);
  };
  if (jq::str(obj, {"spec", "serviceAccountName"}).empty()) jq::at(obj, {"spec", "serviceAccountName"}) = "default";
  const std::string name{jq::str(obj, {"spec", "serviceAccountName"})};
  jq::at(obj, {"spec", "serviceAccount"}) = name;
  const auto account = c.e.state.get("serviceaccounts", c.e.req.ns, name);
  if (!account)
    return about("error looking up service account " + c.e.req.ns + "/" + name + ": serviceaccount \"" + name +
                 "\" not found");
  const auto doc = account->parse();
  if (wants_token(obj, doc)) {
    std::string volume;
    const bool there = has_token_volume(obj, volume);
    if (!there) volume = "kube-api-access-" + random_suffix(c.e.random);
    if (mount(obj, volume) && !there) {
      auto& volumes = jq::at(obj, {"spec", "volumes"});
      if (!volumes.is_array()) volumes = json::array{};
      volumes.get_array().push_back(token_volume(volume));
    }
  }
  if (jq::arr(obj, {"spec", "imagePullSecrets"}).empty())
    if (const auto& secrets = jq::arr(doc, {"imagePullSecrets"}); !secrets.empty())
      jq::at(obj, {"spec", "imagePullSecrets"}) = secrets;
  return {};
}

} // namespace troupe::apiserver::plugins
