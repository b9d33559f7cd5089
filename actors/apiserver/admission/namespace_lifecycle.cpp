// NamespaceLifecycle: nothing is created in a namespace that is missing or on its way out.
#include "actors/apiserver/admission/admission.hpp"

namespace troupe::apiserver::plugins {

result<void> namespace_lifecycle(admission_context& c, json::value& obj) {
  if (c.op != admission_op::create || !c.res.namespaced) return {};
  const auto& ns = c.e.req.ns;
  const auto space = c.e.state.get("namespaces", "", ns);
  if (!space) return errors::not_found({"", "namespaces"}, ns);
  if (space->meta().deleting) {
    auto s = errors::forbidden(c.about(), jq::str(obj, {"metadata", "name"}),
                               "unable to create new content in namespace " + ns + " because it is being terminated");
    s.causes.push_back({"NamespaceTerminating", "namespace " + ns + " is being terminated", "metadata.namespace"});
    return s;
  }
  // A deletion that begins while this create is under way makes it run again, and then be refused.
  c.plan.change.compares.push_back({{"namespaces", "", ns}, space->mod});
  return {};
}

} // namespace troupe::apiserver::plugins
