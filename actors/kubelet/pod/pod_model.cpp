#include "actors/kubelet/pod/pod_model.hpp"

#include "api/meta/object_meta.hpp"
#include "api/meta/time.hpp"

namespace troupe::kubelet {

namespace {

pull_policy read_pull_policy(const json::value& c) {
  auto text = jq::str(c, {"imagePullPolicy"}, "IfNotPresent");
  if (text == "Always") return pull_policy::always;
  return text == "Never" ? pull_policy::never : pull_policy::if_not_present;
}

restart_policy read_restart_policy(const json::value& pod) {
  auto text = jq::str(pod, {"spec", "restartPolicy"}, "Always");
  if (text == "Never") return restart_policy::never;
  return text == "OnFailure" ? restart_policy::on_failure : restart_policy::always;
}

container_model read_container(const json::value& c, bool init) {
  container_model m;
  m.name = jq::str(c, {"name"});
  m.image = jq::str(c, {"image"});
  if (init) m.kind = jq::str(c, {"restartPolicy"}) == "Always" ? container_kind::sidecar : container_kind::init;
  m.pull = read_pull_policy(c);
  m.has_startup = jq::find(c, {"startupProbe"}) != nullptr;
  m.has_liveness = jq::find(c, {"livenessProbe"}) != nullptr;
  m.has_readiness = jq::find(c, {"readinessProbe"}) != nullptr;
  m.has_post_start = jq::find(c, {"lifecycle", "postStart"}) != nullptr;
  m.has_pre_stop = jq::find(c, {"lifecycle", "preStop"}) != nullptr;
  m.liveness_grace_s = jq::maybe_num(c, {"livenessProbe", "terminationGracePeriodSeconds"});
  m.startup_grace_s = jq::maybe_num(c, {"startupProbe", "terminationGracePeriodSeconds"});
  m.log_fallback = jq::str(c, {"terminationMessagePolicy"}) == "FallbackToLogsOnError";
  m.terminal = jq::flag(c, {"tty"});
  m.open_stdin = jq::flag(c, {"stdin"});
  m.doc = &c;
  return m;
}

void read_deletion(const json::value& doc, pod_model& m) {
  m.deletion_grace_s = jq::maybe_num(doc, {"metadata", "deletionGracePeriodSeconds"});
  auto deadline = meta::deletion_time(doc);
  if (!deadline) return;
  m.deletion_deadline = std::chrono::time_point_cast<wall_time::duration>(*deadline);
  m.deleting_since = *m.deletion_deadline - std::chrono::seconds{m.deletion_grace_s.value_or(0)};
}

} // namespace

const container_model* pod_model::find(std::string_view container) const noexcept {
  for (const auto& c : containers)
    if (c.name == container) return &c;
  return nullptr;
}

std::string pod_model::field_path(const container_model& c) {
  return (c.kind == container_kind::app ? "spec.containers{" : "spec.initContainers{") + c.name + "}";
}

pod_model_ptr read_pod(std::shared_ptr<const json::value> doc) {
  auto m = std::make_shared<pod_model>();
  m->ns = meta::ns(*doc);
  m->name = meta::name(*doc);
  m->uid = meta::uid(*doc);
  m->restart = read_restart_policy(*doc);
  m->host_network = jq::flag(*doc, {"spec", "hostNetwork"});
  m->grace_s = jq::num(*doc, {"spec", "terminationGracePeriodSeconds"}, 30);
  m->active_deadline_s = jq::maybe_num(*doc, {"spec", "activeDeadlineSeconds"});
  m->phase = jq::str(*doc, {"status", "phase"});
  for (const auto& c : jq::arr(*doc, {"spec", "initContainers"}))
    m->containers.push_back(read_container(c, true));
  for (const auto& c : jq::arr(*doc, {"spec", "containers"}))
    m->containers.push_back(read_container(c, false));
  for (const auto& g : jq::arr(*doc, {"spec", "readinessGates"}))
    m->readiness_gates.emplace_back(jq::str(g, {"conditionType"}));
  read_deletion(*doc, *m);
  m->doc = std::move(doc);
  return m;
}

} // namespace troupe::kubelet
