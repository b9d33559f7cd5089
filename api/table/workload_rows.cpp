#include "api/meta/object_meta.hpp"
#include "api/meta/selector.hpp"
#include "api/table/cells.hpp"

namespace troupe::table {

namespace {

std::int64_t spec(const json::value& o, std::string_view f) { return jq::num(o, {"spec", f}); }
std::int64_t state(const json::value& o, std::string_view f) { return jq::num(o, {"status", f}); }

std::string of(std::int64_t have, std::int64_t want) { return std::to_string(have) + "/" + std::to_string(want); }

row& containers(row& r, const json::value& o) {
  return r.text(containers_text(o, {"spec", "template", "spec"}, "name"))
      .text(containers_text(o, {"spec", "template", "spec"}, "image"));
}

void replica_row(row& r, const json::value& o) {
  r.name(o).number(spec(o, "replicas")).number(state(o, "replicas")).number(state(o, "readyReplicas")).age(o);
}

void replication_controller_row(row& r, const json::value& o) {
  replica_row(r, o);
  containers(r, o).text(labels_text(jq::obj(o, {"spec", "selector"})));
}

void replica_set_row(row& r, const json::value& o) {
  replica_row(r, o);
  containers(r, o).text(selector_text(jq::find(o, {"spec", "selector"})));
}

void daemon_set_row(row& r, const json::value& o) {
  r.name(o);
  for (auto f :
       {"desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable"})
    r.number(state(o, f));
  r.text(labels_text(jq::obj(o, {"spec", "template", "spec", "nodeSelector"}))).age(o);
  containers(r, o).text(selector_text(jq::find(o, {"spec", "selector"})));
}

void stateful_set_row(row& r, const json::value& o) {
  r.name(o).text(of(state(o, "readyReplicas"), spec(o, "replicas"))).age(o);
  containers(r, o);
}

void deployment_row(row& r, const json::value& o) {
  const auto selector = label_selector::from_object(jq::find(o, {"spec", "selector"}));
  r.name(o)
      .text(of(state(o, "readyReplicas"), spec(o, "replicas")))
      .number(state(o, "updatedReplicas"))
      .number(state(o, "availableReplicas"))
      .age(o);
  containers(r, o).text(selector ? selector->to_string() : "<invalid>");
}

std::string_view job_status(const json::value& o) {
  if (condition_true(o, "Complete")) return "Complete";
  if (condition_true(o, "Failed")) return "Failed";
  if (meta::deleting(o)) return "Terminating";
  if (condition_true(o, "Suspended")) return "Suspended";
  if (condition_true(o, "FailureTarget")) return "FailureTarget";
  return "Running";
}

std::string job_completions(const json::value& o) {
  const auto done = state(o, "succeeded");
  if (const auto wanted = jq::maybe_num(o, {"spec", "completions"})) return of(done, *wanted);
  const auto parallelism = spec(o, "parallelism");
  if (parallelism > 1) return of(done, 1) + " of " + std::to_string(parallelism);
  return of(done, 1);
}

std::string job_duration(const json::value& o, sys_micros now) {
  const auto start = parse_time(jq::str(o, {"status", "startTime"}));
  if (!start) return {};
  const auto end = parse_time(jq::str(o, {"status", "completionTime"})).value_or(now);
  return human_duration(std::chrono::duration_cast<std::chrono::seconds>(end - *start));
}

void job_row(row& r, const json::value& o) {
  r.name(o).text(job_status(o)).text(job_completions(o)).text(job_duration(o, r.now())).age(o);
  containers(r, o).text(selector_text(jq::find(o, {"spec", "selector"})));
}

void cron_job_row(row& r, const json::value& o) {
  const auto* suspend = jq::find(o, {"spec", "suspend"});
  const bool known = suspend && suspend->is_bool();
  const auto last = jq::str(o, {"status", "lastScheduleTime"});
  r.name(o)
      .text(jq::str(o, {"spec", "schedule"}))
      .text(or_else(jq::str(o, {"spec", "timeZone"}), "<none>"))
      .text(!known                ? "<unset>"
            : suspend->get_bool() ? "True"
                                  : "False")
      .number(std::int64_t(jq::arr(o, {"status", "active"}).size()))
      .text(last.empty() ? "<none>" : human_age(last, r.now()))
      .age(o)
      .text(containers_text(o, {"spec", "jobTemplate", "spec", "template", "spec"}, "name"))
      .text(containers_text(o, {"spec", "jobTemplate", "spec", "template", "spec"}, "image"))
      .text(selector_text(jq::find(o, {"spec", "jobTemplate", "spec", "selector"})));
}

void controller_revision_row(row& r, const json::value& o) {
  std::string controller = "<none>";
  if (const auto* ref = meta::controller_of(o)) {
    controller = jq::str(*ref, {"kind"});
    for (auto& c : controller)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const auto version = jq::str(*ref, {"apiVersion"});
    if (const auto slash = version.find('/'); slash != version.npos)
      controller.append(".").append(version.substr(0, slash));
    controller.append("/").append(jq::str(*ref, {"name"}));
  }
  r.name(o).text(controller).number(jq::num(o, {"revision"})).age(o);
}

/// One metric of an autoscaler: what is measured now and what is wanted.
std::string metric_text(const json::value& spec, const json::value* status) {
  const auto type = jq::str(spec, {"type"});
  std::string member{type};
  if (!member.empty()) member[0] = static_cast<char>(std::tolower(member[0]));
  const json::value empty;
  const auto* wanted = jq::find(spec, {member, "target"});
  const auto* now = status ? jq::find(*status, {member, "current"}) : nullptr;
  const auto value = [&](const json::value* v, std::string_view f, std::string_view otherwise) {
    return std::string{or_else(jq::str(v ? *v : empty, {f}), otherwise)};
  };
  const bool average = wanted && jq::find(*wanted, {"averageValue"});
  if (type == "Pods") return value(now, "averageValue", "<unknown>") + "/" + value(wanted, "averageValue", "0");
  if (type == "External" || type == "Object") {
    if (average) return value(now, "averageValue", "<unknown>") + "/" + value(wanted, "averageValue", "0") + " (avg)";
    return value(now, "value", "<unknown>") + "/" + value(wanted, "value", "0");
  }
  if (type != "Resource" && type != "ContainerResource") return "<unknown type>";
  const std::string name{jq::str(spec, {member, "name"})};
  if (average) return name + ": " + value(now, "averageValue", "<unknown>") + "/" + value(wanted, "averageValue", "0");
  const auto percent = [&](const json::value* v, std::string_view otherwise) {
    const auto n = v ? jq::maybe_num(*v, {"averageUtilization"}) : std::nullopt;
    return n ? std::to_string(*n) + "%" : std::string{otherwise};
  };
  return name + ": " + percent(now, "<unknown>") + "/" + percent(wanted, "<auto>");
}

std::string hpa_targets(const json::value& o) {
  // The autoscaling/v1 form knows the processor only.
  if (const auto cpu = jq::maybe_num(o, {"spec", "targetCPUUtilizationPercentage"})) {
    const auto now = jq::maybe_num(o, {"status", "currentCPUUtilizationPercentage"});
    return "cpu: " + (now ? std::to_string(*now) + "%" : std::string{"<unknown>"}) + "/" + std::to_string(*cpu) + "%";
  }
  const auto& metrics = jq::arr(o, {"spec", "metrics"});
  const auto& current = jq::arr(o, {"status", "currentMetrics"});
  if (metrics.empty()) return "<none>";
  std::vector<std::string> out;
  for (std::size_t i = 0; i < metrics.size(); ++i)
    out.push_back(metric_text(metrics[i], i < current.size() ? &current[i] : nullptr));
  return join_few(out, 2, ", ");
}

void autoscaler_row(row& r, const json::value& o) {
  const auto least = jq::maybe_num(o, {"spec", "minReplicas"});
  r.name(o)
      .text(std::string{jq::str(o, {"spec", "scaleTargetRef", "kind"})}.append("/").append(
          jq::str(o, {"spec", "scaleTargetRef", "name"})))
      .text(hpa_targets(o))
      .text(least ? std::to_string(*least) : "<unset>")
      .number(spec(o, "maxReplicas"))
      .number(state(o, "currentReplicas"))
      .age(o);
}

constexpr row_rule rules[] = {
    {"", "replicationcontrollers", replication_controller_row},
    {"apps", "replicasets", replica_set_row},
    {"apps", "daemonsets", daemon_set_row},
    {"apps", "statefulsets", stateful_set_row},
    {"apps", "deployments", deployment_row},
    {"apps", "controllerrevisions", controller_revision_row},
    {"batch", "jobs", job_row},
    {"batch", "cronjobs", cron_job_row},
    {"autoscaling", "horizontalpodautoscalers", autoscaler_row},
};

} // namespace

std::span<const row_rule> workload_rows() { return rules; }

} // namespace troupe::table
