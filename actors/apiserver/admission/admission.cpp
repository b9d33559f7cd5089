#include "actors/apiserver/admission/admission.hpp"

namespace troupe::apiserver {

namespace {
using plugin = result<void> (*)(admission_context&, json::value&);

constexpr plugin pod_plugins[] = {plugins::service_account, plugins::limit_ranger, plugins::default_tolerations,
                                  plugins::priority, plugins::runtime_class};

template <std::size_t N>
result<void> run(const plugin (&list)[N], admission_context& c, json::value& obj) {
  for (const auto p : list)
    if (auto r = p(c, obj); !r) return r;
  return {};
}
} // namespace

result<void> admit(admission_context& c, json::value& obj) {
  if (auto r = plugins::namespace_lifecycle(c, obj); !r) return r;
  if (auto r = plugins::node_restriction(c, obj); !r) return r;
  if (!c.main()) return {};
  if (c.res.group.empty()) {
    if (c.res.plural == "pods") return run(pod_plugins, c, obj);
    if (c.res.plural == "nodes") return plugins::taint_nodes(c, obj);
    if (c.res.plural == "persistentvolumeclaims" || c.res.plural == "persistentvolumes") {
      if (auto r = plugins::storage(c, obj); !r) return r;
      return plugins::limit_ranger(c, obj);
    }
    if (c.res.plural == "services") return plugins::service_addresses(c, obj);
    return {};
  }
  if (c.res.group == "rbac.authorization.k8s.io") return plugins::rbac_escalation(c, obj);
  return {};
}

result<void> admit_validated(admission_context& c, json::value& obj) {
  if (!c.main() || !c.res.namespaced) return {};
  return plugins::resource_quota(c, obj);
}

result<void> admit_delete(admission_context& c, std::string_view name) {
  if (c.is("", "namespaces") && (name == "default" || name == "kube-system" || name == "kube-public"))
    return errors::forbidden(c.about(), name, "this namespace may not be deleted");
  const json::value nothing;
  json::value doc = c.old ? *c.old : nothing;
  return plugins::node_restriction(c, doc);
}

} // namespace troupe::apiserver
