// DefaultTolerationSeconds, Priority and RuntimeClass: what a pod gets from the cluster when it is created.
#include "actors/apiserver/admission/admission.hpp"

namespace troupe::apiserver::plugins {

namespace {

bool tolerates(const json::value& pod, std::string_view key) {
  for (const auto& t : jq::arr(pod, {"spec", "tolerations"})) {
    const auto k = jq::str(t, {"key"}), effect = jq::str(t, {"effect"});
    if ((k == key || k.empty()) && (effect == "NoExecute" || effect.empty())) return true;
  }
  return false;
}

void add_toleration(json::value& pod, const char* key) {
  json::object t;
  t["key"] = key;
  t["operator"] = "Exists";
  t["effect"] = "NoExecute";
  t["tolerationSeconds"] = 300;
  auto& list = jq::at(pod, {"spec", "tolerations"});
  if (!list.is_array()) list = json::array{};
  list.get_array().push_back(std::move(t));
}

struct chosen_class {
  std::string name, preemption = "PreemptLowerPriority";
  std::int64_t value = 0;
};

chosen_class from_object(const store::object& o) {
  const auto doc = o.parse();
  return {o.name, std::string(jq::str(doc, {"preemptionPolicy"}, "PreemptLowerPriority")), jq::num(doc, {"value"})};
}

} // namespace

result<void> default_tolerations(admission_context& c, json::value& obj) {
  if (c.op != admission_op::create) return {};
  for (const char* key : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"})
    if (!tolerates(obj, key)) add_toleration(obj, key);
  return {};
}

result<void> priority(admission_context& c, json::value& obj) {
  if (c.op != admission_op::create) return {};
  const std::string wanted{jq::str(obj, {"spec", "priorityClassName"})};
  chosen_class chosen;
  if (!wanted.empty()) {
    const auto o = c.e.state.get("priorityclasses.scheduling.k8s.io", "", wanted);
    if (!o)
      return errors::forbidden(c.about(), jq::str(obj, {"metadata", "name"}),
                               "no PriorityClass with name " + wanted + " was found");
    chosen = from_object(*o);
  } else {
    c.e.state.scan("priorityclasses.scheduling.k8s.io", {}, [&](const store::object_ptr& o) {
      if (jq::flag(o->parse(), {"globalDefault"})) chosen = from_object(*o);
      return true;
    });
  }
  if (const auto given = jq::maybe_num(obj, {"spec", "priority"}); given && *given != chosen.value)
    return errors::forbidden(c.about(), jq::str(obj, {"metadata", "name"}),
                             "the integer value of priority (" + std::to_string(*given) +
                                 ") must not be provided in pod spec; priority admission controller computed " +
                                 std::to_string(chosen.value) + " from the given PriorityClass name");
  if (!chosen.name.empty()) jq::at(obj, {"spec", "priorityClassName"}) = chosen.name;
  jq::at(obj, {"spec", "priority"}) = chosen.value;
  if (jq::str(obj, {"spec", "preemptionPolicy"}).empty()) jq::at(obj, {"spec", "preemptionPolicy"}) = chosen.preemption;
  return {};
}

result<void> runtime_class(admission_context& c, json::value& obj) {
  if (c.op != admission_op::create) return {};
  const std::string name{jq::str(obj, {"spec", "runtimeClassName"})};
  if (name.empty()) return {};
  const auto o = c.e.state.get("runtimeclasses.node.k8s.io", "", name);
  if (!o)
    return errors::forbidden(c.about(), jq::str(obj, {"metadata", "name"}),
                             "pod rejected: RuntimeClass \"" + name + "\" not found");
  const auto doc = o->parse();
  if (const auto& fixed = jq::obj(doc, {"overhead", "podFixed"}); !fixed.empty())
    jq::at(obj, {"spec", "overhead"}) = fixed;
  for (const auto& kv : jq::obj(doc, {"scheduling", "nodeSelector"}))
    jq::at(obj, {"spec", "nodeSelector", jq::view(kv.key())}) = kv.value();
  return {};
}

} // namespace troupe::apiserver::plugins
