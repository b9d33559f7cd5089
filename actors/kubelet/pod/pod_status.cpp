#include "actors/kubelet/pod/pod_status.hpp"

#include "api/meta/quantity.hpp"
#include "api/meta/time.hpp"

#include <optional>

namespace troupe::kubelet {

namespace {

struct tally {
  int running = 0, waiting = 0, succeeded = 0, failed = 0, alive = 0;
};

tally count_apps(const pod_core& core) {
  tally t;
  const auto& specs = core.model().containers;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const auto& c = core.containers()[i];
    t.alive += c.alive();
    if (specs[i].kind != container_kind::app) continue;
    if (c.alive())
      ++t.running;
    else if (!c.exit)
      ++t.waiting;
    else if (c.at == stage::exited && c.exit->code == 0)
      ++t.succeeded;
    else if (c.at == stage::exited)
      ++t.failed;
    else
      ++t.running; // between two instances
  }
  return t;
}

bool init_failed(const pod_core& core) {
  const auto& specs = core.model().containers;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const auto& c = core.containers()[i];
    if (specs[i].kind == container_kind::init && c.at == stage::exited && c.exit && c.exit->code != 0) return true;
  }
  return false;
}

std::string time_text(wall_time t) { return format_time(std::chrono::floor<std::chrono::seconds>(t)); }

json::object terminated(const exit_record& e) {
  json::object t;
  t["exitCode"] = e.code;
  if (!e.reason.empty()) t["reason"] = e.reason;
  if (!e.message.empty()) t["message"] = e.message;
  if (e.started != wall_time{}) t["startedAt"] = time_text(e.started);
  if (e.finished != wall_time{}) t["finishedAt"] = time_text(e.finished);
  if (!e.id.empty()) t["containerID"] = "troupe://" + e.id;
  return t;
}

json::object waiting(std::string_view reason, std::string_view message) {
  json::object w;
  if (!reason.empty()) w["reason"] = reason;
  if (!message.empty()) w["message"] = message;
  return w;
}

json::object state_of(const pod_core& core, const container_model& spec, const container_core& c) {
  if (c.alive()) return {{"running", {{"startedAt", time_text(c.started_at)}}}};
  if (!c.waiting_reason.empty()) return {{"waiting", waiting(c.waiting_reason, c.waiting_message)}};
  if (c.exit) return {{"terminated", terminated(*c.exit)}};
  bool early = spec.kind == container_kind::app && !core.initialized();
  return {{"waiting", waiting(early ? "PodInitializing" : "ContainerCreating", {})}};
}

bool shows_ready(const container_model& spec, const container_core& c) {
  if (spec.kind == container_kind::init) return c.at == stage::exited && c.exit && c.exit->code == 0;
  return c.ready && c.alive();
}

json::object container_status(const pod_core& core, const container_model& spec, const container_core& c) {
  json::object s;
  s["name"] = spec.name;
  s["state"] = state_of(core, spec, c);
  bool waits_after_exit = !c.alive() && c.exit && !c.waiting_reason.empty();
  const auto& last = waits_after_exit ? c.exit : c.previous;
  s["lastState"] = last ? json::object{{"terminated", terminated(*last)}} : json::object{};
  s["ready"] = shows_ready(spec, c);
  s["restartCount"] = std::max(c.attempt, 0);
  s["image"] = c.image.empty() ? spec.image : c.image;
  s["imageID"] = c.image_id;
  if (c.attempt >= 0) s["containerID"] = "troupe://" + pod_core::container_id(core.model().uid, spec.name, c.attempt);
  s["started"] = c.alive() && c.started;
  return s;
}

// ---------------------------------------------------------------- conditions

struct verdict {
  bool good = true;
  std::string reason, message;
};

std::string quoted_list(const std::vector<std::string>& names) {
  std::string out = "[";
  for (const auto& n : names)
    out += (out.size() > 1 ? " " : "") + n;
  return out + "]";
}

verdict initialized(const pod_core& core, const std::string& phase) {
  if (core.initialized()) return {true, phase == "Succeeded" ? "PodCompleted" : "", {}};
  std::vector<std::string> open;
  for (std::size_t i = 0; i < core.containers().size(); ++i) {
    const auto& spec = core.model().containers[i];
    if (spec.kind == container_kind::init && !shows_ready(spec, core.containers()[i])) open.push_back(spec.name);
    if (spec.kind == container_kind::sidecar && !core.containers()[i].started) open.push_back(spec.name);
  }
  return {false, "ContainersNotInitialized", "containers with incomplete status: " + quoted_list(open)};
}

verdict containers_ready(const pod_core& core, const std::string& phase) {
  if (phase == "Succeeded") return {false, "PodCompleted", {}};
  if (phase == "Failed") return {false, "PodFailed", {}};
  std::vector<std::string> open;
  for (std::size_t i = 0; i < core.containers().size(); ++i) {
    const auto& spec = core.model().containers[i];
    if (spec.kind != container_kind::init && !shows_ready(spec, core.containers()[i])) open.push_back(spec.name);
  }
  if (open.empty()) return {};
  return {false, "ContainersNotReady", "containers with unready status: " + quoted_list(open)};
}

const json::value* find_condition(const json::value& status, std::string_view type) {
  for (const auto& c : jq::arr(status, {"conditions"}))
    if (jq::str(c, {"type"}) == type) return &c;
  return nullptr;
}

verdict pod_ready(const pod_core& core, const verdict& containers) {
  if (!containers.good) return containers;
  static const json::value none;
  auto* status = jq::find(*core.model().doc, {"status"});
  std::string message;
  for (const auto& gate : core.model().readiness_gates) {
    auto* c = find_condition(status ? *status : none, gate);
    auto text = c ? jq::str(*c, {"status"}) : std::string_view{};
    if (text == "True") continue;
    if (!message.empty()) message += ", ";
    message += !c ? "corresponding condition of pod readiness gate \"" + gate + "\" does not exist."
                  : "the status of pod readiness gate \"" + gate + "\" is not \"True\", but " + std::string{text};
  }
  if (message.empty()) return {};
  return {false, "ReadinessGatesNotReady", message};
}

json::object condition(std::string_view type, const verdict& v, const json::value& before, wall_time now) {
  json::object c;
  c["type"] = type;
  c["status"] = v.good ? "True" : "False";
  c["lastProbeTime"] = nullptr;
  auto* old = find_condition(before, type);
  bool same = old && jq::str(*old, {"status"}) == jq::view(c["status"].as_string());
  c["lastTransitionTime"] = same ? std::string{jq::str(*old, {"lastTransitionTime"})} : time_text(now);
  if (!v.reason.empty()) c["reason"] = v.reason;
  if (!v.message.empty()) c["message"] = v.message;
  return c;
}

json::array conditions(const pod_core& core, const json::value& before, const std::string& phase, wall_time now) {
  auto containers = containers_ready(core, phase);
  json::array out;
  bool wired = core.sandbox_ready();
  out.push_back(condition("PodReadyToStartContainers", {wired, {}, {}}, before, now));
  out.push_back(condition("Initialized", initialized(core, phase), before, now));
  out.push_back(condition("Ready", pod_ready(core, containers), before, now));
  out.push_back(condition("ContainersReady", containers, before, now));
  if (auto* c = find_condition(before, "PodScheduled"); c && jq::str(*c, {"status"}) == "True")
    out.push_back(*c);
  else
    out.push_back(condition("PodScheduled", {}, before, now));
  return out;
}

} // namespace

std::string pod_core::phase() const {
  if (was_terminal_) return model_->phase;
  if (!failed_reason_.empty()) return "Failed";
  auto t = count_apps(*this);
  auto total = t.running + t.waiting + t.succeeded + t.failed;
  if (model_->deletion_deadline && t.alive == 0 && t.waiting == 0 && t.running == 0)
    return t.failed ? "Failed" : "Succeeded";
  if (!initialized()) return init_failed(*this) && model_->restart == restart_policy::never ? "Failed" : "Pending";
  if (t.waiting > 0) return "Pending";
  if (t.running > 0 || model_->restart == restart_policy::always) return "Running";
  if (t.succeeded == total) return "Succeeded";
  return model_->restart == restart_policy::never ? "Failed" : "Running";
}

json::object build_status(const pod_core& core, const json::value& before, std::string_view host_ip, wall_time now) {
  json::object s;
  auto phase = core.phase();
  s["phase"] = phase;
  s["conditions"] = conditions(core, before, phase, now);
  s["message"] = core.failed_message().empty() ? json::value(nullptr) : json::value(core.failed_message());
  s["reason"] = core.failed_reason().empty() ? json::value(nullptr) : json::value(core.failed_reason());
  s["hostIP"] = host_ip;
  s["hostIPs"] = json::array{json::object{{"ip", host_ip}}};
  if (!core.ip().empty()) {
    s["podIP"] = core.ip();
    s["podIPs"] = json::array{json::object{{"ip", core.ip()}}};
  }
  s["startTime"] = time_text(core.start_time());
  json::array inits, apps;
  for (std::size_t i = 0; i < core.containers().size(); ++i) {
    const auto& spec = core.model().containers[i];
    auto& list = spec.kind == container_kind::app ? apps : inits;
    list.push_back(container_status(core, spec, core.containers()[i]));
  }
  if (!inits.empty()) s["initContainerStatuses"] = std::move(inits);
  if (!apps.empty()) s["containerStatuses"] = std::move(apps);
  s["qosClass"] = qos_class(*core.model().doc);
  return s;
}

namespace {
/// Conditions without those that already stand as they are; null when all do.
json::value changed_conditions(const json::value& before, const json::array& after) {
  json::array out;
  for (const auto& c : after) {
    auto* old = find_condition(before, jq::str(c, {"type"}));
    bool same = old && jq::str(*old, {"status"}) == jq::str(c, {"status"}) &&
                jq::str(*old, {"reason"}) == jq::str(c, {"reason"}) &&
                jq::str(*old, {"message"}) == jq::str(c, {"message"});
    if (same) continue;
    auto change = c.as_object();
    // A merged condition keeps what the patch does not name.
    for (auto key : {"reason", "message"})
      if (old && !change.contains(key) && jq::find(*old, {key})) change[key] = nullptr;
    out.push_back(std::move(change));
  }
  if (out.empty()) return nullptr;
  return out;
}
} // namespace

json::value status_patch(const json::value& before, const json::object& after, std::string_view uid) {
  json::object change;
  for (const auto& [key, value] : after) {
    auto* old = jq::find(before, {std::string_view{key.data(), key.size()}});
    if (key == "conditions") {
      auto c = changed_conditions(before, value.as_array());
      if (!c.is_null()) change[key] = std::move(c);
    } else if (value.is_null() ? (old && !old->is_null()) : (!old || *old != value)) {
      change[key] = value;
    }
  }
  if (change.empty()) return nullptr;
  return json::object{{"metadata", {{"uid", uid}}}, {"status", std::move(change)}};
}

namespace {
/// Which of cpu and memory have positive requests and limits, and whether they are equal.
struct qos_tally {
  bool any = false, guaranteed = true;
  void add(const json::value& c) {
    for (auto key : {"cpu", "memory"}) {
      auto req = quantity::parse_or_zero(jq::find(c, {"resources", "requests", key}));
      auto lim = quantity::parse_or_zero(jq::find(c, {"resources", "limits", key}));
      any = any || !req.is_zero() || !lim.is_zero();
      bool has_request = jq::find(c, {"resources", "requests", key}) != nullptr;
      guaranteed = guaranteed && !lim.is_zero() && (!has_request || req == lim);
    }
  }
};
} // namespace

std::string qos_class(const json::value& pod) {
  if (auto known = jq::str(pod, {"status", "qosClass"}); !known.empty()) return std::string{known};
  qos_tally t;
  for (const auto& c : jq::arr(pod, {"spec", "initContainers"}))
    t.add(c);
  for (const auto& c : jq::arr(pod, {"spec", "containers"}))
    t.add(c);
  return !t.any ? "BestEffort" : t.guaranteed ? "Guaranteed" : "Burstable";
}

} // namespace troupe::kubelet
