#include "actors/controllers/accounts/account_controllers.hpp"

#include "api/meta/object_meta.hpp"

namespace troupe::ctl {

namespace {
constexpr std::string_view ca_name = "kube-root-ca.crt";

/// Keys are namespaces: theirs, and those whose object of that name changed.
void mark(const change& c, std::string_view table, std::string_view name, work_queue& queue) {
  const auto& i = c.after ? c.after : c.before;
  if (!i) return;
  if (c.table == "namespaces" && c.after && (!c.before || c.before->deleting != i->deleting)) queue.add(i->name());
  if (c.table == table && i->name() == name) queue.add(i->ns());
}

bool alive(const world& w, const std::string& ns) {
  auto i = w.cache.get("namespaces", {}, ns);
  return i && !i->deleting;
}
} // namespace

void service_account_controller::observe(const change& c, const cluster_cache&, sys_micros) {
  mark(c, "serviceaccounts", "default", queue);
}

outcome service_account_controller::reconcile(const std::string& ns, const world& w) {
  outcome out;
  if (!alive(w, ns) || w.cache.get("serviceaccounts", ns, "default")) return out;
  json::object doc{
      {"apiVersion", "v1"}, {"kind", "ServiceAccount"}, {"metadata", {{"name", "default"}, {"namespace", ns}}}};
  out.actions.push_back(act::create(refs::service_accounts, ns, std::move(doc)));
  out.actions.back().lenient = true;
  return out;
}

void root_ca_controller::observe(const change& c, const cluster_cache&, sys_micros) {
  mark(c, "configmaps", ca_name, queue);
}

outcome root_ca_controller::reconcile(const std::string& ns, const world& w) {
  outcome out;
  if (!alive(w, ns)) return out;
  auto have = w.cache.get("configmaps", ns, ca_name);
  if (have && jq::str(have->doc, {"data", "ca.crt"}) == ca_pem_) return out;
  json::object data{{"ca.crt", ca_pem_}};
  if (have) {
    json::object patch;
    patch["data"] = std::move(data);
    out.actions.push_back(act::merge(refs::config_maps, ns, ca_name, std::move(patch)));
    return out;
  }
  json::object doc{{"apiVersion", "v1"}, {"kind", "ConfigMap"}};
  doc["metadata"] =
      json::object{{"name", ca_name},
                   {"namespace", ns},
                   {"annotations",
                    {{"kubernetes.io/description",
                      "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
                      "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
                      "guaranteed across distributions of Kubernetes clusters."}}}};
  doc["data"] = std::move(data);
  out.actions.push_back(act::create(refs::config_maps, ns, std::move(doc)));
  out.actions.back().lenient = true;
  return out;
}

} // namespace troupe::ctl
