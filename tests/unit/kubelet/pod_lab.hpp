// pod_lab: a pod core with a world that answers its effects, for tests.
// Owner:  one test.
// Units:  virtual wall time.
// Errors: -
// Source: ours.
#pragma once

#include "actors/kubelet/pod/pod_core.hpp"
#include "actors/kubelet/pod/pod_status.hpp"
#include "api/meta/time.hpp"

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace troupe::kubelet::test {

inline pod_model_ptr model_of(std::string_view text) {
  return read_pod(std::make_shared<const json::value>(json::parse(text)));
}

/// A pod of the given spec body, e.g. `"containers":[{"name":"a","image":"i"}]`.
inline std::string pod_text(const std::string& spec, const std::string& meta = "", const std::string& status = "{}") {
  return R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"default","uid":"u1")" + meta +
         R"(},"spec":{)" + spec + R"(},"status":)" + status + "}";
}

inline wall_time start_of_time() { return wall_time{std::chrono::seconds{1'800'000'000}}; }

class pod_lab {
public:
  explicit pod_lab(const std::string& text, adopted_pod found = {})
      : text_(text), core(model_of(text), std::move(found), now) {}

  void begin() { take(core.begin(now)); }

  /// Performs what the core asks until it is quiet; time stands still.
  void run() {
    while (!todo.empty()) {
      auto e = todo.front();
      todo.pop_front();
      perform(e);
    }
  }

  /// Lets time pass, waking the core when it wants to be woken.
  void pass(std::chrono::milliseconds d) {
    auto end = now + d;
    run();
    while (wake && *wake <= end) {
      now = std::max(now, *wake);
      wake.reset();
      take(core.on_timer(now));
      run();
    }
    now = end;
  }

  void exit(int container, int code) {
    exit_record r;
    r.code = code;
    r.reason = code ? "Error" : "Completed";
    r.started = core.containers()[static_cast<std::size_t>(container)].started_at;
    r.finished = now;
    running.erase(container);
    take(core.on_exited(container, core.containers()[static_cast<std::size_t>(container)].attempt, r, now));
    run();
  }

  void remove(std::int64_t grace) {
    auto doc = json::parse(text_);
    auto at = std::chrono::floor<std::chrono::seconds>(now + std::chrono::seconds{grace});
    doc.as_object()["metadata"].as_object()["deletionTimestamp"] = format_time(at);
    doc.as_object()["metadata"].as_object()["deletionGracePeriodSeconds"] = grace;
    take(core.on_pod(read_pod(std::make_shared<const json::value>(doc)), now));
  }

  void take(effects out) {
    for (auto& e : out) {
      if (e.what == effect_kind::arm_timer)
        wake = e.at;
      else if (e.what == effect_kind::event)
        events.push_back(e.name + ": " + e.message);
      else if (e.what != effect_kind::publish)
        todo.push_back(std::move(e));
      if (todo.empty() || todo.back().what != effect_kind::finish) continue;
      finished = true;
    }
  }

  std::string status(std::initializer_list<std::string_view> path) {
    json::value s = build_status(core, last_status, "10.0.0.9", now);
    last_status = s;
    return std::string{jq::str(s, path)};
  }
  json::value whole_status() {
    json::value s = build_status(core, last_status, "10.0.0.9", now);
    last_status = s;
    return s;
  }
  bool said(std::string_view text) const {
    for (const auto& e : events)
      if (e.find(text) != std::string::npos) return true;
    return false;
  }
  std::vector<std::string> take_log() { return std::exchange(log, {}); }

  /// What the world does on each effect; replace to make things fail.
  std::function<bool(const effect&)> intercept = [](const effect&) { return false; };
  bool obey_term = true;

  std::string text_;
  wall_time now = start_of_time();
  pod_core core;
  std::deque<effect> todo;
  std::optional<wall_time> wake;
  std::vector<std::string> events, log;
  std::set<int> running;
  bool finished = false, sandbox = false;
  json::value last_status;

private:
  std::string name(int i) const { return i < 0 ? "" : core.model().containers[static_cast<std::size_t>(i)].name; }

  void perform(const effect& e) {
    if (intercept(e)) return;
    switch (e.what) {
    case effect_kind::prepare_volumes: return take(core.on_volumes(std::nullopt, now));
    case effect_kind::create_sandbox: sandbox = true; return take(core.on_sandbox(true, "10.244.0.7", now));
    case effect_kind::find_image: return take(core.on_image_found(e.container, image_found{"sha256:1", "", 5}, now));
    case effect_kind::pull_image:
      return take(core.on_image_pulled(e.container, image_found{"sha256:1", "", 5}, {}, std::chrono::seconds{1}, now));
    case effect_kind::start_container:
      log.push_back("start " + name(e.container) + " " + std::to_string(e.attempt));
      running.insert(e.container);
      return take(core.on_started(e.container, e.attempt, now));
    case effect_kind::post_start:
      log.push_back("postStart " + name(e.container));
      return take(core.on_post_start(e.container, e.attempt, std::nullopt, now));
    case effect_kind::pre_stop:
      log.push_back("preStop " + name(e.container));
      return take(core.on_pre_stop(e.container, e.attempt, std::nullopt, now));
    case effect_kind::send_signal:
      log.push_back(e.name + " " + name(e.container));
      if (running.contains(e.container) && (obey_term || e.name == "SIGKILL"))
        exit(e.container, e.name == "SIGKILL" ? 137 : 143);
      return;
    case effect_kind::inspect:
      if (running.contains(e.container)) return take(core.on_still_running(e.container, e.attempt, now));
      return take(core.on_exited(e.container, e.attempt, {137, "ContainerStatusUnknown", "", {}, now, ""}, now));
    case effect_kind::remove_sandbox:
      log.push_back("remove sandbox");
      sandbox = false;
      running.clear();
      return take(core.on_sandbox_removed(std::nullopt, now));
    case effect_kind::remove_volumes: return take(core.on_volumes_removed(now));
    case effect_kind::delete_object: log.push_back("delete object"); return take(core.on_object_deleted(true, now));
    case effect_kind::finish: finished = true; return;
    default: return;
    }
  }
};

} // namespace troupe::kubelet::test
