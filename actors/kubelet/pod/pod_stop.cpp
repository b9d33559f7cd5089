// The second half of pod_core: from the wish to stop to nothing left.
#include "actors/kubelet/limits.hpp"
#include "actors/kubelet/pod/pod_core.hpp"

#include <algorithm>

namespace troupe::kubelet {

using std::chrono::seconds;

void pod_core::begin_kill(int i, std::string message, wall_time deadline, wall_time now) {
  auto& c = at(i);
  if (c.at != stage::running && c.at != stage::hook) return;
  end_start(i);
  probes_off(i);
  c.ready = false;
  c.kill_at = std::max(deadline, now);
  c.killed = false;
  say(false, "Killing", std::move(message), i);
  if (spec(i).has_pre_stop && c.kill_at > now) {
    c.at = stage::pre_stop;
    auto left = std::chrono::ceil<seconds>(c.kill_at - now).count();
    out_.push_back({.what = effect_kind::pre_stop, .container = i, .attempt = c.attempt, .seconds = left});
    return;
  }
  send_stop(i, now);
}

void pod_core::send_stop(int i, wall_time now) {
  auto& c = at(i);
  c.at = stage::terminating;
  if (c.kill_at <= now) return; // check_kills sends SIGKILL
  out_.push_back({.what = effect_kind::send_signal,
                  .container = i,
                  .attempt = c.attempt,
                  .name = c.stop_signal.empty() ? "SIGTERM" : c.stop_signal});
}

effects pod_core::on_pre_stop(int i, int attempt, const std::optional<std::string>& failure, wall_time now) {
  if (!current(i, attempt) || at(i).at != stage::pre_stop) return settle(now);
  if (failure) say(true, "FailedPreStopHook", *failure, i);
  at(i).kill_at = std::max(at(i).kill_at, now + limits::grace_after_hook_min);
  send_stop(i, now);
  return settle(now);
}

/// SIGKILL to whatever outlived its grace, and a look at what outlived SIGKILL.
void pod_core::check_kills(wall_time now) {
  for (int i = 0; i < count(); ++i) {
    auto& c = at(i);
    if (c.at != stage::pre_stop && c.at != stage::terminating) continue;
    if (now < c.kill_at) {
      wake_at(c.kill_at);
      continue;
    }
    c.at = stage::terminating;
    if (c.killed) ask(effect_kind::inspect, i, c.attempt);
    out_.push_back({.what = effect_kind::send_signal, .container = i, .attempt = c.attempt, .name = "SIGKILL"});
    c.killed = true;
    c.kill_at = now + limits::kill_check;
    wake_at(c.kill_at);
  }
}

effects pod_core::on_still_running(int, int, wall_time now) { return settle(now); }

/// App containers first; then sidecars one by one, last started first. True when none lives.
bool pod_core::stop_containers(wall_time now) {
  auto deadline = stop_deadline_.value_or(now + seconds{model_->grace_s});
  bool busy = false;
  for (int i = 0; i < count(); ++i) {
    auto& c = at(i);
    busy = busy || c.at == stage::starting;
    if (spec(i).kind == container_kind::sidecar) continue;
    begin_kill(i, "Stopping container " + spec(i).name, deadline, now);
    busy = busy || c.alive();
  }
  for (int i = count() - 1; i >= 0 && !busy; --i) {
    if (spec(i).kind != container_kind::sidecar) continue;
    begin_kill(i, "Stopping container " + spec(i).name, deadline, now);
    busy = at(i).alive();
  }
  return !busy;
}

void pod_core::stop_step(wall_time now) {
  if (stop_containers(now)) clear_away(now);
}

/// Sandbox, then volumes, then the object. A pod that merely ended keeps its object and its logs.
void pod_core::clear_away(wall_time now) {
  if (sandbox_ == step::busy || volumes_ == step::busy) return;
  if (sandbox_ != step::removed) {
    if (sandbox_ == step::removing) return;
    if (now < clear_not_before_) return wake_at(clear_not_before_);
    sandbox_ = step::removing;
    return ask(effect_kind::remove_sandbox);
  }
  if (volumes_ != step::removed) {
    if (volumes_ == step::removing) return;
    volumes_ = step::removing;
    return ask(effect_kind::remove_volumes);
  }
  if (!model_->deletion_deadline && !gone_) return;
  if (object_deleted_) {
    finished_ = true;
    return ask(effect_kind::finish);
  }
  if (deleting_object_) return;
  if (now < delete_not_before_) return wake_at(delete_not_before_);
  deleting_object_ = true;
  ask(effect_kind::publish);
  ask(effect_kind::delete_object);
}

effects pod_core::on_sandbox_removed(const std::optional<std::string>& failure, wall_time now) {
  sandbox_ = failure ? step::done : step::removed;
  if (failure) {
    clear_wait_.advance(now);
    clear_not_before_ = now + clear_wait_.wait;
    say(true, "FailedKillPod", "error killing pod: " + *failure);
  }
  return settle(now);
}

effects pod_core::on_volumes_removed(wall_time now) {
  volumes_ = step::removed;
  return settle(now);
}

effects pod_core::on_object_deleted(bool gone, wall_time now) {
  deleting_object_ = false;
  if (gone) {
    object_deleted_ = true;
  } else {
    clear_wait_.advance(now);
    delete_not_before_ = now + clear_wait_.wait;
  }
  return settle(now);
}

} // namespace troupe::kubelet
