// eviction: POST pods/eviction: a delete that respects disruption budgets.
#include "actors/apiserver/delete_options.hpp"
#include "api/meta/object_meta.hpp"
#include "api/meta/selector.hpp"

namespace troupe::apiserver {

namespace {

bool is_ready(const json::value& pod) {
  for (const auto& c : jq::arr(pod, {"status", "conditions"}))
    if (jq::str(c, {"type"}) == "Ready") return jq::str(c, {"status"}) == "True";
  return false;
}

std::vector<store::object_ptr> budgets_of(const write_env& e, const json::value& pod) {
  std::vector<store::object_ptr> out;
  e.state.scan("poddisruptionbudgets.policy", e.req.ns, [&](const store::object_ptr& o) {
    const auto doc = o->parse();
    auto s = label_selector::from_object(jq::find(doc, {"spec", "selector"}));
    if (s && s->matches(meta::labels(pod))) out.push_back(o);
    return true;
  });
  return out;
}

status budget_exhausted(const json::value& budget) {
  auto s = errors::too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", 0);
  s.causes.push_back({"DisruptionBudget",
                      "The disruption budget " + std::string(meta::name(budget)) + " needs " +
                          std::to_string(jq::num(budget, {"status", "desiredHealthy"})) + " healthy pods and has " +
                          std::to_string(jq::num(budget, {"status", "currentHealthy"})) + " currently",
                      ""});
  return s;
}

/// Takes one disruption from the budget, in the same transaction as the delete.
result<void> take_disruption(const write_env& e, const store::object& o, const json::value& pod, write_plan& p) {
  auto budget = o.parse();
  const bool skip = !is_ready(pod) &&
                    (jq::str(budget, {"spec", "unhealthyPodEvictionPolicy"}) == "AlwaysAllow" ||
                     jq::num(budget, {"status", "currentHealthy"}) >= jq::num(budget, {"status", "desiredHealthy"}));
  if (skip) return {};
  const auto left = jq::num(budget, {"status", "disruptionsAllowed"});
  if (jq::num(budget, {"status", "observedGeneration"}) < meta::generation(budget) || left <= 0)
    return budget_exhausted(budget);
  jq::at(budget, {"status", "disruptionsAllowed"}) = left - 1;
  jq::at(budget, {"status", "disruptedPods", meta::name(pod)}) = format_time(e.now);
  const auto* res = schema::registry::get().find("policy", "v1", "poddisruptionbudgets");
  return add_put(p.change, *res, budget, o.mod);
}

} // namespace

result<write_plan> plan_eviction(const write_env& e) {
  auto body = read_plain(e.req, e.t.sub->body);
  if (!body) return body.error();
  auto was = e.state.get("pods", e.req.ns, e.req.name);
  if (!was) return errors::not_found({"", "pods"}, e.req.name);
  const auto pod = was->parse();
  const auto* inner = jq::find(*body, {"deleteOptions"});
  auto options = delete_options::from_json(inner ? *inner : json::value(nullptr));
  if (!options) return options.error();
  auto p = fixed_answer(201, success_status());
  const auto phase = jq::str(pod, {"status", "phase"});
  const bool counts = phase != "Succeeded" && phase != "Failed" && phase != "Pending" && !meta::deleting(pod);
  if (counts) {
    const auto budgets = budgets_of(e, pod);
    if (budgets.size() > 1)
      return errors::internal(
          "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
    if (budgets.size() == 1)
      if (auto r = take_disruption(e, *budgets.front(), pod, p); !r) return r.error();
  }
  const auto* pods = schema::registry::get().find("", "v1", "pods");
  auto step = step_delete(e, *pods, *was, *options);
  if (!step) return step.error();
  if (e.dry_run || options->dry_run) return fixed_answer(201, success_status());
  const auto key = key_of(*pods, was->ns, was->name);
  if (step->erase) {
    p.change.compares.push_back({key, was->mod});
    p.change.erases.push_back({key});
  } else if (step->put) {
    if (auto r = add_put(p.change, *pods, step->doc, was->mod); !r) return r.error();
  }
  return p;
}

} // namespace troupe::apiserver
