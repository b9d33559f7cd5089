#include "api/meta/object_meta.hpp"
#include "api/table/cells.hpp"

#include <optional>

namespace troupe::table {

namespace {

/// What the status and restart columns of a pod are computed from, step by step as kubectl's users know it.
struct pod_view {
  const json::value& pod;
  std::string reason;
  std::int64_t total = 0, ready = 0, restarts = 0;
  std::string last_restart; // RFC 3339 sorts as text
  bool initializing = false;

  explicit pod_view(const json::value& p) : pod(p) {
    reason = or_else(jq::str(p, {"status", "reason"}), jq::str(p, {"status", "phase"}));
    const auto* scheduled = condition(p, "PodScheduled");
    if (scheduled && jq::str(*scheduled, {"reason"}) == "SchedulingGated") reason = "SchedulingGated";
    total = static_cast<std::int64_t>(jq::arr(p, {"spec", "containers"}).size());
    for (const auto& c : jq::arr(p, {"spec", "initContainers"}))
      total += jq::str(c, {"restartPolicy"}) == "Always";
    init_containers();
    if (!initializing || condition_true(p, "Initialized")) containers();
    if (meta::deleting(p)) deletion();
  }

private:
  std::int64_t sidecar_restarts = 0;
  std::string sidecar_last_restart;

  static void newest(std::string& last, const json::value& status) {
    const auto at = jq::str(status, {"lastState", "terminated", "finishedAt"});
    if (at > last) last = at;
  }

  bool restartable(std::string_view name) const {
    for (const auto& c : jq::arr(pod, {"spec", "initContainers"}))
      if (jq::str(c, {"name"}) == name) return jq::str(c, {"restartPolicy"}) == "Always";
    return false;
  }

  static std::string ended(const json::value& terminated, std::string_view prefix) {
    std::string out{prefix};
    const auto why = jq::str(terminated, {"reason"});
    if (!why.empty()) return out.append(why);
    const auto signal = jq::num(terminated, {"signal"});
    if (signal != 0) return out + "Signal:" + std::to_string(signal);
    return out + "ExitCode:" + std::to_string(jq::num(terminated, {"exitCode"}));
  }

  void init_containers() {
    const auto& statuses = jq::arr(pod, {"status", "initContainerStatuses"});
    for (std::size_t i = 0; i < statuses.size() && !initializing; ++i) {
      const auto& s = statuses[i];
      const auto count = jq::num(s, {"restartCount"});
      restarts += count;
      newest(last_restart, s);
      const bool sidecar = restartable(jq::str(s, {"name"}));
      if (sidecar) {
        sidecar_restarts += count;
        newest(sidecar_last_restart, s);
      }
      const auto* terminated = jq::find(s, {"state", "terminated"});
      if (terminated && jq::num(*terminated, {"exitCode"}) == 0) continue;
      if (sidecar && jq::flag(s, {"started"})) {
        ready += jq::flag(s, {"ready"});
        continue;
      }
      initializing = true;
      const auto waiting = jq::str(s, {"state", "waiting", "reason"});
      if (terminated)
        reason = ended(*terminated, "Init:");
      else if (!waiting.empty() && waiting != "PodInitializing")
        reason = "Init:" + std::string{waiting};
      else
        reason = "Init:" + std::to_string(i) + "/" + std::to_string(jq::arr(pod, {"spec", "initContainers"}).size());
    }
  }

  void containers() {
    restarts = sidecar_restarts;
    last_restart = sidecar_last_restart;
    const auto& statuses = jq::arr(pod, {"status", "containerStatuses"});
    bool running = false;
    for (auto i = statuses.size(); i-- > 0;) {
      const auto& s = statuses[i];
      restarts += jq::num(s, {"restartCount"});
      newest(last_restart, s);
      const auto waiting = jq::str(s, {"state", "waiting", "reason"});
      const auto* terminated = jq::find(s, {"state", "terminated"});
      if (!waiting.empty()) {
        reason = waiting;
      } else if (terminated) {
        reason = ended(*terminated, "");
      } else if (jq::flag(s, {"ready"}) && jq::find(s, {"state", "running"})) {
        running = true;
        ++ready;
      }
    }
    if (reason == "Completed" && running) reason = condition_true(pod, "Ready") ? "Running" : "NotReady";
  }

  void deletion() {
    const auto phase = jq::str(pod, {"status", "phase"});
    if (jq::str(pod, {"status", "reason"}) == "NodeLost")
      reason = "Unknown";
    else if (phase != "Succeeded" && phase != "Failed")
      reason = "Terminating";
  }
};

std::string readiness_gates(const json::value& pod) {
  const auto& gates = jq::arr(pod, {"spec", "readinessGates"});
  if (gates.empty()) return "<none>";
  std::size_t good = 0;
  for (const auto& g : gates)
    good += condition_true(pod, jq::str(g, {"conditionType"}));
  return std::to_string(good) + "/" + std::to_string(gates.size());
}

} // namespace

void pod_row(row& r, const json::value& pod) {
  const pod_view v{pod};
  auto restarts = std::to_string(v.restarts);
  if (v.restarts != 0 && !v.last_restart.empty()) restarts += " (" + human_age(v.last_restart, r.now()) + " ago)";
  const auto& ips = jq::arr(pod, {"status", "podIPs"});
  r.name(pod)
      .text(std::to_string(v.ready) + "/" + std::to_string(v.total))
      .text(v.reason)
      .text(restarts)
      .age(pod)
      .text(or_else(ips.empty() ? std::string_view{} : jq::str(ips[0], {"ip"}), "<none>"))
      .text(or_else(jq::str(pod, {"spec", "nodeName"}), "<none>"))
      .text(or_else(jq::str(pod, {"status", "nominatedNodeName"}), "<none>"))
      .text(readiness_gates(pod));
}

} // namespace troupe::table
