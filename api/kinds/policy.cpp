// HorizontalPodAutoscaler, PodDisruptionBudget, PriorityClass, Lease, RuntimeClass, flow control.
#include "api/kinds/rules.hpp"

#include "api/meta/int_or_string.hpp"

namespace troupe::kinds {

namespace {

void check_autoscaler(field_errors& e, const json::value& obj) {
  const auto& spec = at(obj, {"spec"});
  const auto least = jq::num(spec, {"minReplicas"}, 1);
  const auto most = jq::num(spec, {"maxReplicas"});
  if (least < 1) e.push_back(field::invalid("spec.minReplicas", least, "must be greater than or equal to 1"));
  if (most < 1) e.push_back(field::invalid("spec.maxReplicas", most, "must be greater than 0"));
  if (most < least)
    e.push_back(field::invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"));
  const auto& metrics = jq::arr(spec, {"metrics"});
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const auto here = index("spec.metrics", i);
    std::string member{jq::str(metrics[i], {"type"})};
    if (member.empty()) continue;
    member[0] = static_cast<char>(member[0] | 0x20);
    if (!jq::find(metrics[i], {member}))
      e.push_back(field::required(here + "." + member, "must populate information for the given metric source"));
  }
}

void check_amount(field_errors& e, const json::value& spec, std::string_view member) {
  const auto* v = jq::find(spec, {member});
  if (!v || v->is_null()) return;
  const auto path = "spec." + std::string{member};
  if (v->is_string()) {
    const auto p = percent_of(*v);
    if (!p)
      e.push_back(field::invalid(path, *v,
                                 "a valid percent string must be a numeric string followed by an ending '%' "
                                 "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"));
    else if (*p > 100)
      e.push_back(field::invalid(path, *v, "must not be greater than 100%"));
  } else if (v->is_number() && v->to_number<std::int64_t>() < 0) {
    e.push_back(field::invalid(path, *v, "must be greater than or equal to 0"));
  }
}

void check_budget(field_errors& e, const json::value& obj) {
  const auto& spec = at(obj, {"spec"});
  if (jq::find(spec, {"minAvailable"}) && jq::find(spec, {"maxUnavailable"}))
    e.push_back(field::invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"));
  check_amount(e, spec, "minAvailable");
  check_amount(e, spec, "maxUnavailable");
  check_selector(e, jq::find(spec, {"selector"}), "spec.selector");
}

void check_priority_class(field_errors& e, const json::value& obj) {
  constexpr std::int64_t user_value_max = 1000000000;
  const auto name = meta::name(obj);
  const auto value = jq::num(obj, {"value"});
  const bool system_class = (name == "system-node-critical" && value == 2000001000) ||
                            (name == "system-cluster-critical" && value == 2000000000);
  if (system_class) return;
  if (name.starts_with("system-"))
    e.push_back(field::forbidden(
        "metadata.name", "priority class names with 'system-' prefix are reserved for system use only. error: " +
                             std::string{name} + " is not a known system priority class"));
  if (value > user_value_max)
    e.push_back(field::forbidden("value", "maximum allowed value of a user defined priority is 1000000000"));
}

void check_lease(field_errors& e, const json::value& obj) {
  const auto& spec = at(obj, {"spec"});
  if (const auto n = jq::maybe_num(spec, {"leaseDurationSeconds"}); n && *n <= 0)
    e.push_back(field::invalid("spec.leaseDurationSeconds", *n, "must be greater than 0"));
  if (const auto n = jq::maybe_num(spec, {"leaseTransitions"}); n && *n < 0)
    e.push_back(field::invalid("spec.leaseTransitions", *n, "must be greater than or equal to 0"));
}

void check_runtime_class(field_errors& e, const json::value& obj) {
  const auto handler = jq::str(obj, {"handler"});
  check_name(e, "handler", handler, names::dns1123_label(handler));
}

void check_flow_schema(field_errors& e, const json::value& obj) {
  constexpr std::int64_t precedence_max = 10000;
  const auto n = jq::num(obj, {"spec", "matchingPrecedence"});
  if (n < 1 || n > precedence_max)
    e.push_back(field::invalid("spec.matchingPrecedence", n,
                               n < 1 ? "must be a positive value" : "must not be greater than 10000"));
}

constexpr kind_rule rules[] = {
    {"autoscaling", "HorizontalPodAutoscaler", nullptr, nullptr, check_autoscaler},
    {"policy", "PodDisruptionBudget", nullptr, nullptr, check_budget},
    {"scheduling.k8s.io", "PriorityClass", nullptr, nullptr, check_priority_class},
    {"coordination.k8s.io", "Lease", nullptr, nullptr, check_lease},
    {"node.k8s.io", "RuntimeClass", nullptr, nullptr, check_runtime_class},
    {"flowcontrol.apiserver.k8s.io", "FlowSchema", nullptr, nullptr, check_flow_schema},
};

} // namespace

std::span<const kind_rule> policy_kinds() { return rules; }

} // namespace troupe::kinds
