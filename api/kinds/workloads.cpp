// Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController, PodTemplate.
#include "api/kinds/rules.hpp"

#include "api/meta/int_or_string.hpp"
#include "api/meta/selector.hpp"

namespace troupe::kinds {

namespace {

bool empty_selector(const json::value* s) {
  return jq::obj(*s, {"matchLabels"}).empty() && jq::arr(*s, {"matchExpressions"}).empty();
}

/// Only `Always` lets the controller's pods be what it counts.
void check_always(field_errors& e, const json::value& tmpl, const std::string& path) {
  const auto policy = jq::str(tmpl, {"spec", "restartPolicy"});
  if (policy != "Always") e.push_back(field::not_supported(path + ".spec.restartPolicy", text(policy), {"Always"}));
  if (jq::find(tmpl, {"spec", "activeDeadlineSeconds"}))
    e.push_back(
        field::forbidden(path + ".spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported"));
}

void check_template(field_errors& e, const json::value& obj, std::string_view kind) {
  const auto* selector = jq::find(obj, {"spec", "selector"});
  const auto& tmpl = at(obj, {"spec", "template"});
  if (selector && !selector->is_null()) {
    check_selector(e, selector, "spec.selector");
    if (empty_selector(selector))
      e.push_back(field::invalid("spec.selector", *selector, "empty selector is invalid for " + std::string{kind}));
    const auto parsed = label_selector::from_object(selector);
    if (parsed && !parsed->matches_everything() && !parsed->matches(jq::obj(tmpl, {"metadata", "labels"})))
      e.push_back(field::invalid("spec.template.metadata.labels", jq::obj(tmpl, {"metadata", "labels"}),
                                 "`selector` does not match template `labels`"));
  }
  check_pod_template(e, tmpl, "spec.template");
  check_always(e, tmpl, "spec.template");
}

/// A count or percentage of a rolling update; `value` is what it comes to for 100 pods.
std::int64_t check_step(field_errors& e, const json::value* v, const std::string& path) {
  if (!v || v->is_null()) return 0;
  if (v->is_string()) {
    const auto p = percent_of(*v);
    if (!p) {
      e.push_back(field::invalid(path, *v,
                                 "a valid percent string must be a numeric string followed by an ending '%' "
                                 "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"));
      return 1;
    }
    if (*p > 100) e.push_back(field::invalid(path, *v, "must not be greater than 100%"));
    return *p;
  }
  const auto n = v->is_number() ? v->to_number<std::int64_t>() : 0;
  if (n < 0) e.push_back(field::invalid(path, n, "must be greater than or equal to 0"));
  return n;
}

void check_deployment(field_errors& e, const json::value& obj) {
  const auto& spec = at(obj, {"spec"});
  check_not_negative(e, spec, {"replicas"}, "spec");
  check_template(e, obj, "deployment");
  const auto type = jq::str(spec, {"strategy", "type"});
  const auto* rolling = jq::find(spec, {"strategy", "rollingUpdate"});
  if (type == "Recreate") {
    if (rolling && !rolling->is_null())
      e.push_back(
          field::forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"));
  } else if (type == "RollingUpdate" && rolling && !rolling->is_null()) {
    const std::string here = "spec.strategy.rollingUpdate";
    const auto* down = jq::find(*rolling, {"maxUnavailable"});
    const auto a = check_step(e, down, here + ".maxUnavailable");
    const auto b = check_step(e, jq::find(*rolling, {"maxSurge"}), here + ".maxSurge");
    if (a == 0 && b == 0)
      e.push_back(
          field::invalid(here + ".maxUnavailable", down ? *down : json::value(0), "may not be 0 when `maxSurge` is 0"));
  }
  check_not_negative(e, spec, {"minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"}, "spec");
  const auto deadline = jq::maybe_num(spec, {"progressDeadlineSeconds"});
  if (deadline && *deadline <= jq::num(spec, {"minReadySeconds"}))
    e.push_back(field::invalid("spec.progressDeadlineSeconds", *deadline, "must be greater than minReadySeconds"));
}

void check_replica_set(field_errors& e, const json::value& obj) {
  check_not_negative(e, at(obj, {"spec"}), {"replicas", "minReadySeconds"}, "spec");
  check_template(e, obj, "replicaset");
}

void check_replication_controller(field_errors& e, const json::value& obj) {
  const auto& spec = at(obj, {"spec"});
  check_not_negative(e, spec, {"replicas", "minReadySeconds"}, "spec");
  const auto& selector = jq::obj(spec, {"selector"});
  const auto& tmpl = at(spec, {"template"});
  if (selector.empty()) e.push_back(field::required("spec.selector"));
  if (tmpl.is_null()) {
    e.push_back(field::required("spec.template"));
    return;
  }
  if (!selector.empty() && !label_selector::from_map(selector).matches(jq::obj(tmpl, {"metadata", "labels"})))
    e.push_back(field::invalid("spec.template.metadata.labels", jq::obj(tmpl, {"metadata", "labels"}),
                               "`selector` does not match template `labels`"));
  check_pod_template(e, tmpl, "spec.template");
  check_always(e, tmpl, "spec.template");
}

void check_stateful_set(field_errors& e, const json::value& obj) {
  const auto& spec = at(obj, {"spec"});
  const auto type = jq::str(spec, {"updateStrategy", "type"});
  if (type == "OnDelete" && jq::find(spec, {"updateStrategy", "rollingUpdate"}))
    e.push_back(field::invalid("spec.updateStrategy.rollingUpdate", at(spec, {"updateStrategy", "rollingUpdate"}),
                               "only allowed for updateStrategy 'RollingUpdate'"));
  if (const auto* rolling = jq::find(spec, {"updateStrategy", "rollingUpdate"}); rolling && !rolling->is_null())
    check_not_negative(e, *rolling, {"partition"}, "spec.updateStrategy.rollingUpdate");
  check_not_negative(e, spec, {"replicas", "minReadySeconds"}, "spec");
  if (const auto* o = jq::find(spec, {"ordinals"}); o && !o->is_null())
    check_not_negative(e, *o, {"start"}, "spec.ordinals");
  check_template(e, obj, "statefulset");
}

void check_stateful_set_update(field_errors& e, const json::value& obj, const json::value& old) {
  auto now = at(obj, {"spec"});
  auto was = at(old, {"spec"});
  for (auto f : {"replicas", "ordinals", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy",
                 "minReadySeconds"}) {
    jq::erase(now, {f});
    jq::erase(was, {f});
  }
  if (differ(&now, &was))
    e.push_back(field::forbidden("spec", "updates to statefulset spec for fields other than 'replicas', 'ordinals', "
                                         "'template', 'updateStrategy', 'persistentVolumeClaimRetentionPolicy' and "
                                         "'minReadySeconds' are forbidden"));
}

void check_daemon_set(field_errors& e, const json::value& obj) {
  const auto& spec = at(obj, {"spec"});
  check_template(e, obj, "daemonset");
  check_not_negative(e, spec, {"minReadySeconds", "revisionHistoryLimit"}, "spec");
  const auto* rolling = jq::find(spec, {"updateStrategy", "rollingUpdate"});
  if (jq::str(spec, {"updateStrategy", "type"}) != "RollingUpdate") return;
  const std::string here = "spec.updateStrategy.rollingUpdate";
  if (!rolling || rolling->is_null()) {
    e.push_back(field::required(here));
    return;
  }
  const auto down = check_step(e, jq::find(*rolling, {"maxUnavailable"}), here + ".maxUnavailable");
  const auto up = check_step(e, jq::find(*rolling, {"maxSurge"}), here + ".maxSurge");
  if (down != 0 && up != 0)
    e.push_back(field::invalid(here + ".maxSurge", at(*rolling, {"maxSurge"}),
                               "may not be set when maxUnavailable is non-zero"));
  else if (down == 0 && up == 0)
    e.push_back(field::required(here + ".maxUnavailable", "cannot be 0 when maxSurge is 0"));
}

void check_pod_template_kind(field_errors& e, const json::value& obj) {
  check_pod_template(e, at(obj, {"template"}), "template");
}

void check_revision(field_errors& e, const json::value& obj) {
  if (jq::num(obj, {"revision"}) < 0)
    e.push_back(field::invalid("revision", at(obj, {"revision"}), "must be greater than or equal to 0"));
  if (at(obj, {"data"}).is_null()) e.push_back(field::required("data", "data is mandatory"));
}

constexpr kind_rule rules[] = {
    {"apps", "Deployment", nullptr, nullptr, check_deployment},
    {"apps", "ReplicaSet", nullptr, nullptr, check_replica_set},
    {"apps", "StatefulSet", nullptr, nullptr, check_stateful_set, check_stateful_set_update},
    {"apps", "DaemonSet", nullptr, nullptr, check_daemon_set},
    {"apps", "ControllerRevision", nullptr, nullptr, check_revision},
    {"", "ReplicationController", nullptr, nullptr, check_replication_controller},
    {"", "PodTemplate", nullptr, nullptr, check_pod_template_kind},
};

} // namespace

std::span<const kind_rule> workload_kinds() { return rules; }

} // namespace troupe::kinds
