// binding: POST pods/binding and bindings: the scheduler's decision becomes spec.nodeName.
#include "actors/apiserver/write.hpp"
#include "api/meta/object_meta.hpp"

namespace troupe::apiserver {

namespace {

void set_scheduled(json::value& pod, const std::string& now) {
  auto& list = jq::at(pod, {"status", "conditions"});
  if (!list.is_array()) list = json::array{};
  json::object c;
  c["type"] = "PodScheduled";
  c["status"] = "True";
  c["lastProbeTime"] = nullptr;
  c["lastTransitionTime"] = now;
  for (auto& old : list.get_array())
    if (jq::str(old, {"type"}) == "PodScheduled") {
      if (jq::str(old, {"status"}) == "True")
        c["lastTransitionTime"] = std::string(jq::str(old, {"lastTransitionTime"}));
      old = std::move(c);
      return;
    }
  list.get_array().push_back(std::move(c));
}

} // namespace

result<write_plan> plan_binding(const write_env& e) {
  const auto* type = schema::registry::get().find_type("io.k8s.api.core.v1.Binding");
  auto body = read_plain(e.req, type);
  if (!body) return body.error();
  if (!body->is_object()) return errors::bad_request("a Binding object is expected");
  const auto named = jq::str(*body, {"metadata", "name"});
  const std::string name = e.req.name.empty() ? std::string(named) : e.req.name;
  if (!named.empty() && named != name)
    return errors::bad_request("the name of the object (" + std::string(named) +
                               ") does not match the name on the URL (" + name + ")");
  const auto kind = jq::str(*body, {"target", "kind"});
  const std::string node{jq::str(*body, {"target", "name"})};
  field_errors faults;
  if (!kind.empty() && kind != "Node")
    faults.push_back(field::not_supported("target.kind", json::value(std::string(kind)), {"Node", "<empty>"}));
  if (node.empty()) faults.push_back(field::required("target.name"));
  if (!faults.empty()) return errors::invalid("Binding", "", name, std::move(faults));
  const resource_name about{"", "pods/binding"};
  auto was = e.state.get("pods", e.req.ns, name);
  if (!was) return errors::not_found({"", "pods"}, name);
  auto pod = was->parse();
  if (const auto uid = jq::str(*body, {"metadata", "uid"}); !uid.empty() && uid != meta::uid(pod))
    return errors::conflict(about, name,
                            "Precondition failed: UID in precondition: " + std::string(uid) +
                                ", UID in object meta: " + std::string(meta::uid(pod)));
  if (meta::deleting(pod))
    return errors::conflict(about, name, "pod " + name + " is being deleted, cannot be assigned to a host");
  if (const auto on = jq::str(pod, {"spec", "nodeName"}); !on.empty())
    return errors::conflict(about, name, "pod " + name + " is already assigned to node \"" + std::string(on) + "\"");
  if (!jq::arr(pod, {"spec", "schedulingGates"}).empty())
    return errors::conflict(about, name, "pod " + name + " has non-empty .spec.schedulingGates");
  jq::at(pod, {"spec", "nodeName"}) = node;
  for (const auto& kv : jq::obj(*body, {"metadata", "annotations"}))
    jq::at(pod, {"metadata", "annotations", jq::view(kv.key())}) = kv.value();
  set_scheduled(pod, format_time(e.now));
  auto p = fixed_answer(201, success_status());
  if (e.dry_run) return p;
  const auto* pods = schema::registry::get().find("", "v1", "pods");
  if (auto r = add_put(p.change, *pods, pod, was->mod); !r) return r.error();
  return p;
}

} // namespace troupe::apiserver
