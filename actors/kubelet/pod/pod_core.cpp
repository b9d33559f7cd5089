#include "actors/kubelet/pod/pod_core.hpp"

#include "actors/kubelet/limits.hpp"
#include "api/meta/time.hpp"

#include <algorithm>
#include <cstdio>

namespace troupe::kubelet {

using std::chrono::seconds;

namespace {
std::uint64_t fnv(std::uint64_t h, std::string_view s) {
  for (unsigned char c : s)
    h = (h ^ c) * 1099511628211ull;
  return h;
}
} // namespace

/// 32 hex digits: short enough for socket paths, the same after a restart.
std::string pod_core::container_id(const std::string& uid, const std::string& name, int attempt) {
  auto key = uid + "/" + name + "/" + std::to_string(attempt);
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(fnv(14695981039346656037ull, key)),
                static_cast<unsigned long long>(fnv(0x9ae16a3b2f90404full, key)));
  return text;
}

pod_core::pod_core(pod_model_ptr model, adopted_pod found, wall_time now) : model_(std::move(model)) {
  containers_.resize(model_->containers.size());
  for (auto& c : containers_) {
    c.pull_wait = c.restart_wait = {limits::back_off_first, limits::back_off_max};
    c.start_wait = {limits::setup_retry_first, limits::setup_retry_max};
  }
  auto began = parse_time(jq::str(*model_->doc, {"status", "startTime"}));
  start_time_ = began ? std::chrono::time_point_cast<wall_time::duration>(*began) : now;
  was_terminal_ = model_->phase == "Succeeded" || model_->phase == "Failed";
  adopt(found);
}

namespace {
const json::value* status_of(const pod_model& m, const container_model& c) {
  auto list = c.kind == container_kind::app ? "containerStatuses" : "initContainerStatuses";
  for (const auto& s : jq::arr(*m.doc, {"status", list}))
    if (jq::str(s, {"name"}) == c.name) return &s;
  return nullptr;
}

std::optional<exit_record> read_exit(const json::value& s, std::string_view state) {
  auto t = jq::find(s, {state, "terminated"});
  if (!t) return std::nullopt;
  exit_record e;
  e.code = static_cast<int>(jq::num(*t, {"exitCode"}));
  e.reason = jq::str(*t, {"reason"});
  e.message = jq::str(*t, {"message"});
  if (auto x = parse_time(jq::str(*t, {"startedAt"})))
    e.started = std::chrono::time_point_cast<wall_time::duration>(*x);
  if (auto x = parse_time(jq::str(*t, {"finishedAt"})))
    e.finished = std::chrono::time_point_cast<wall_time::duration>(*x);
  return e;
}

/// What the API remembers and the host may not: restart count and the last exits.
void recall(container_core& c, const json::value& s) {
  if (jq::str(s, {"containerID"}).empty()) return;
  c.attempt = static_cast<int>(jq::num(s, {"restartCount"}));
  c.image_id = jq::str(s, {"imageID"});
  c.previous = read_exit(s, "lastState");
  c.exit = read_exit(s, "state");
  if (!c.exit) c.exit = exit_record{137, "ContainerStatusUnknown", "The container could not be located", {}, {}, {}};
  c.at = stage::exited;
}

void take_over(container_core& c, const adopted_container& a, const json::value* s) {
  if (a.attempt < c.attempt) return;
  if (a.attempt > c.attempt && c.exit && c.attempt >= 0) c.previous = c.exit;
  c.attempt = a.attempt;
  c.image_id = a.image_id;
  c.stop_signal = a.stop_signal;
  c.started_at = a.started_at;
  c.exit.reset();
  if (!a.running) {
    c.at = stage::exited;
    c.exit = a.exit;
    return;
  }
  c.at = stage::running;
  c.ready = s && jq::flag(*s, {"ready"});
  c.started = s && jq::flag(*s, {"started"});
}
} // namespace

void pod_core::adopt(const adopted_pod& found) {
  for (int i = 0; i < count(); ++i) {
    auto* s = status_of(*model_, spec(i));
    if (s) recall(at(i), *s);
    for (const auto& a : found.containers)
      if (a.name == spec(i).name) take_over(at(i), a, s);
    if (at(i).alive() && !spec(i).has_startup) at(i).started = true;
    if (at(i).alive() && !spec(i).has_readiness && at(i).started) at(i).ready = true;
    if (spec(i).kind == container_kind::app && at(i).attempt >= 0) apps_began_ = true;
  }
  if (found.sandbox) sandbox_ = step::done;
  ip_ = found.ip;
  if (was_terminal_) {
    failed_reason_ = jq::str(*model_->doc, {"status", "reason"});
    failed_message_ = jq::str(*model_->doc, {"status", "message"});
  }
}

effects pod_core::begin(wall_time now) {
  for (int i = 0; i < count(); ++i)
    if (at(i).at == stage::running) probes_on(i);
  note_deletion(now);
  return settle(now);
}

void pod_core::note_deletion(wall_time now) {
  if (!model_->deletion_deadline) return;
  auto grace = seconds{std::max<std::int64_t>(model_->deletion_grace_s.value_or(model_->grace_s), 0)};
  // The API's instant is cut to seconds, so it may lie up to one second early.
  auto deadline = std::min(now + grace, *model_->deletion_deadline + seconds{1});
  deadline = std::max(deadline, now);
  if (!stop_deadline_ || deadline < *stop_deadline_) stop_deadline_ = deadline;
  for (auto& c : containers_)
    if (c.at == stage::pre_stop || c.at == stage::terminating) c.kill_at = std::min(c.kill_at, *stop_deadline_);
}

effects pod_core::on_pod(pod_model_ptr model, wall_time now) {
  if (model->containers.size() != containers_.size()) return settle(now); // cannot happen: validated by the API
  auto old = std::exchange(model_, std::move(model));
  note_deletion(now);
  for (int i = 0; i < count(); ++i) {
    auto& c = at(i);
    if (old->containers[static_cast<std::size_t>(i)].image == spec(i).image) continue;
    c.pull_wait.reset();
    if (c.at == stage::waiting) c.not_before = now;
    if ((c.at == stage::hook || c.at == stage::running) && spec(i).kind != container_kind::init)
      begin_kill(i, "Container " + spec(i).name + " definition changed, will be restarted",
                 now + seconds{model_->grace_s}, now);
  }
  return settle(now);
}

effects pod_core::on_gone(wall_time now) {
  gone_ = true;
  object_deleted_ = true;
  auto deadline = now + seconds{model_->deletion_deadline ? 1 : std::max<std::int64_t>(model_->grace_s, 1)};
  if (!stop_deadline_ || deadline < *stop_deadline_) stop_deadline_ = deadline;
  return settle(now);
}

bool pod_core::ending() const noexcept {
  return gone_ || was_terminal_ || model_->deletion_deadline || !failed_reason_.empty() || phase() == "Succeeded" ||
         phase() == "Failed";
}

/// Called at the end of every event: looks at the whole pod afresh and adds what is to be done next.
effects pod_core::settle(wall_time now) {
  wake_.reset();
  if (!finished_) {
    check_deadline(now);
    if (ending())
      stop_step(now);
    else
      run_step(now);
    check_kills(now);
  }
  if (!was_terminal_ && !gone_) ask(effect_kind::publish);
  if (wake_ && !finished_) out_.push_back({.what = effect_kind::arm_timer, .at = std::max(*wake_, now)});
  return std::exchange(out_, {});
}

void pod_core::check_deadline(wall_time now) {
  if (!model_->active_deadline_s || ending()) return;
  auto end = start_time_ + seconds{*model_->active_deadline_s};
  if (now < end) return wake_at(end);
  failed_reason_ = "DeadlineExceeded";
  failed_message_ = "Pod was active on the node longer than the specified deadline";
  stop_deadline_ = now + seconds{model_->grace_s};
  say(false, "DeadlineExceeded", failed_message_);
}

// ---------------------------------------------------------------- towards running

void pod_core::run_step(wall_time now) {
  set_up(now);
  for (int i = 0; i < count(); ++i) {
    auto& c = at(i);
    if (c.pull_back_off_at && c.at == stage::waiting) {
      if (now < *c.pull_back_off_at) {
        wake_at(*c.pull_back_off_at);
      } else {
        c.pull_back_off_at.reset();
        c.waiting_reason = "ImagePullBackOff";
        c.waiting_message = "Back-off pulling image \"" + spec(i).image + "\"";
        say(false, "BackOff", c.waiting_message, i);
        say(true, "Failed", "Error: ImagePullBackOff", i);
      }
    }
  }
  if (volumes_ != step::done || sandbox_ != step::done) return;
  for (int i = 0; i < count(); ++i) {
    auto kind = spec(i).kind;
    if (kind == container_kind::app) apps_began_ = true;
    if (kind == container_kind::init) {
      if (apps_began_ || (at(i).at == stage::exited && at(i).exit && at(i).exit->code == 0)) continue;
      return advance(i, now);
    }
    advance(i, now);
    if (kind == container_kind::sidecar && !apps_began_ && !(at(i).alive() && at(i).started)) return;
  }
}

void pod_core::set_up(wall_time now) {
  if (volumes_ == step::none) {
    if (now < volumes_not_before_) {
      wake_at(volumes_not_before_);
    } else {
      volumes_ = step::busy;
      ask(effect_kind::prepare_volumes);
    }
  }
  if (sandbox_ == step::none) {
    if (now < sandbox_not_before_) {
      wake_at(sandbox_not_before_);
    } else {
      sandbox_ = step::busy;
      ask(effect_kind::create_sandbox);
    }
  }
}

effects pod_core::on_volumes(const std::optional<std::string>& failure, wall_time now) {
  volumes_ = failure ? step::none : step::done;
  if (failure) {
    volumes_wait_.advance(now);
    volumes_not_before_ = now + volumes_wait_.wait;
    say(true, "FailedMount", *failure);
  }
  return settle(now);
}

effects pod_core::on_sandbox(bool ok, std::string ip_or_message, wall_time now) {
  sandbox_ = ok ? step::done : step::none;
  if (ok) {
    ip_ = std::move(ip_or_message);
  } else {
    sandbox_wait_.advance(now);
    sandbox_not_before_ = now + sandbox_wait_.wait;
    say(true, "FailedCreatePodSandBox", "Failed to create pod sandbox: " + ip_or_message);
  }
  return settle(now);
}

bool pod_core::should_restart(int i) const {
  const auto& c = at(i);
  if (!c.exit) return true;
  if (spec(i).kind == container_kind::sidecar) return true;
  if (spec(i).kind == container_kind::init) return c.exit->code != 0 && model_->restart != restart_policy::never;
  if (model_->restart == restart_policy::always) return true;
  return model_->restart == restart_policy::on_failure && c.exit->code != 0;
}

/// True while the container has to wait before it starts again.
bool pod_core::back_off(int i, wall_time now) {
  auto& c = at(i);
  auto ready = c.restart_wait.ready_at(c.exit->finished);
  if (now >= ready) return false;
  c.waiting_reason = "CrashLoopBackOff";
  c.waiting_message = "back-off " + format_go_duration(c.restart_wait.wait) +
                      " restarting failed container=" + spec(i).name + " pod=" + model_->title();
  if (!std::exchange(c.told_back_off, true))
    say(true, "BackOff", "Back-off restarting failed container " + spec(i).name + " in pod " + model_->title(), i);
  wake_at(ready);
  return true;
}

void pod_core::advance(int i, wall_time now) {
  auto& c = at(i);
  if (c.at == stage::exited) {
    if (!should_restart(i) || back_off(i, now)) return;
    if (starting_ >= 0) return;
    c.restart_wait.advance(now);
    c.told_back_off = false;
    c.waiting_reason.clear();
    c.at = stage::waiting;
    if (c.attempt >= 1) ask(effect_kind::remove_container, i, c.attempt - 1);
    c.not_before = now;
  }
  if (c.at != stage::waiting || starting_ >= 0) return;
  if (now < c.not_before) return wake_at(c.not_before);
  begin_start(i, now);
}

void pod_core::begin_start(int i, wall_time) {
  starting_ = i;
  at(i).at = stage::pulling;
  ask(effect_kind::find_image, i);
}

void pod_core::wait_with(int i, std::string reason, std::string message, wall_time until) {
  auto& c = at(i);
  c.at = stage::waiting;
  c.waiting_reason = std::move(reason);
  c.waiting_message = std::move(message);
  c.not_before = until;
  end_start(i);
}

effects pod_core::on_image_found(int i, const std::optional<image_found>& image, wall_time now) {
  auto& c = at(i);
  if (c.at != stage::pulling || ending()) {
    if (c.at == stage::pulling) wait_with(i, {}, {}, now);
    return settle(now);
  }
  const auto& s = spec(i);
  if (s.pull == pull_policy::never && !image) {
    auto text = "Container image \"" + s.image + "\" is not present with pull policy of Never";
    say(true, "ErrImageNeverPull", text, i);
    say(true, "Failed", "Error: ErrImageNeverPull", i);
    c.pull_wait.advance(now);
    wait_with(i, "ErrImageNeverPull", text, now + c.pull_wait.wait);
  } else if (image && s.pull != pull_policy::always) {
    say(false, "Pulled", "Container image \"" + s.image + "\" already present on machine", i);
    c.image_id = image->id;
    c.stop_signal = image->stop_signal;
    c.at = stage::starting;
    ask(effect_kind::start_container, i, c.next_attempt());
  } else {
    say(false, "Pulling", "Pulling image \"" + s.image + "\"", i);
    ask(effect_kind::pull_image, i);
  }
  return settle(now);
}

effects pod_core::on_image_pulled(int i, const std::optional<image_found>& image, std::string message,
                                  std::chrono::milliseconds took, wall_time now) {
  auto& c = at(i);
  if (c.at != stage::pulling || ending()) {
    if (c.at == stage::pulling) wait_with(i, {}, {}, now);
    return settle(now);
  }
  const auto& name = spec(i).image;
  if (!image) {
    say(true, "Failed", "Failed to pull image \"" + name + "\": " + message, i);
    say(true, "Failed", "Error: ErrImagePull", i);
    c.pull_wait.advance(now);
    c.pull_back_off_at = now + seconds{2};
    wait_with(i, "ErrImagePull", std::move(message), now + c.pull_wait.wait);
    return settle(now);
  }
  auto time = format_go_duration(took);
  say(false, "Pulled",
      "Successfully pulled image \"" + name + "\" in " + time + " (" + time +
          " including waiting). Image size: " + std::to_string(image->bytes) + " bytes.",
      i);
  c.pull_wait.reset();
  c.image_id = image->id;
  c.stop_signal = image->stop_signal;
  c.at = stage::starting;
  ask(effect_kind::start_container, i, c.next_attempt());
  return settle(now);
}

effects pod_core::on_started(int i, int attempt, wall_time now) {
  auto& c = at(i);
  if (c.at != stage::starting || attempt != c.next_attempt()) return settle(now);
  if (c.exit) c.previous = std::exchange(c.exit, std::nullopt);
  c.attempt = attempt;
  c.image = spec(i).image;
  c.started_at = now;
  c.waiting_reason.clear();
  c.waiting_message.clear();
  c.pull_back_off_at.reset();
  c.start_wait.reset();
  c.killed = false;
  c.ready = false;
  c.started = false;
  say(false, "Created", "Created container: " + spec(i).name, i);
  say(false, "Started", "Started container " + spec(i).name, i);
  if (spec(i).has_post_start) {
    c.at = stage::hook;
    ask(effect_kind::post_start, i, attempt);
  } else {
    c.at = stage::running;
    end_start(i);
    probes_on(i);
  }
  return settle(now);
}

effects pod_core::on_start_failed(int i, int attempt, start_failure why, std::string message, wall_time now) {
  auto& c = at(i);
  if (c.at != stage::starting || attempt != c.next_attempt()) return settle(now);
  say(true, "Failed", "Error: " + message, i);
  if (why == start_failure::start) {
    if (c.exit) c.previous = c.exit;
    c.attempt = attempt;
    c.exit =
        exit_record{128, "StartError", std::move(message), now, now, container_id(model_->uid, spec(i).name, attempt)};
    c.at = stage::exited;
    end_start(i);
    return settle(now);
  }
  c.start_wait.advance(now);
  wait_with(i, why == start_failure::config ? "CreateContainerConfigError" : "CreateContainerError", std::move(message),
            now + c.start_wait.wait);
  return settle(now);
}

effects pod_core::on_post_start(int i, int attempt, const std::optional<std::string>& failure, wall_time now) {
  if (!current(i, attempt)) return settle(now);
  end_start(i);
  auto& c = at(i);
  if (c.at != stage::hook) return settle(now);
  c.at = stage::running;
  if (failure) {
    say(true, "FailedPostStartHook", *failure, i);
    begin_kill(i, "FailedPostStartHook", now + seconds{model_->grace_s}, now);
  } else {
    probes_on(i);
  }
  return settle(now);
}

void pod_core::probes_on(int i) {
  auto& c = at(i);
  const auto& s = spec(i);
  if (!s.has_startup) c.started = true;
  if (!s.has_readiness && c.started) c.ready = true;
  if (s.kind == container_kind::init) return;
  if (!(s.has_startup || s.has_readiness || s.has_liveness) || c.probing) return;
  c.probing = true;
  ask(effect_kind::start_probes, i, c.attempt);
}

void pod_core::probes_off(int i) {
  if (std::exchange(at(i).probing, false)) ask(effect_kind::stop_probes, i, at(i).attempt);
}

effects pod_core::on_probe(int i, int attempt, probe_kind kind, bool healthy, wall_time now) {
  if (!current(i, attempt) || at(i).at != stage::running) return settle(now);
  auto& c = at(i);
  const auto& name = spec(i).name;
  switch (kind) {
  case probe_kind::readiness: c.ready = healthy && c.started; break;
  case probe_kind::startup:
    if (healthy) {
      c.started = true;
      if (!spec(i).has_readiness) c.ready = true;
    } else {
      begin_kill(i, "Container " + name + " failed startup probe, will be restarted", now + probe_grace(i, kind), now);
    }
    break;
  case probe_kind::liveness:
    if (!healthy)
      begin_kill(i, "Container " + name + " failed liveness probe, will be restarted", now + probe_grace(i, kind), now);
    break;
  }
  return settle(now);
}

seconds pod_core::probe_grace(int i, probe_kind kind) const {
  auto own = kind == probe_kind::startup ? spec(i).startup_grace_s : spec(i).liveness_grace_s;
  return seconds{own.value_or(model_->grace_s)};
}

effects pod_core::on_exited(int i, int attempt, exit_record exit, wall_time now) {
  // A container may end before its start was reported: the exit then counts as started, too.
  if (i >= 0 && i < count() && at(i).at == stage::starting && attempt == at(i).next_attempt()) {
    auto& c = at(i);
    if (c.exit) c.previous = std::exchange(c.exit, std::nullopt);
    c.attempt = attempt;
    c.image = spec(i).image;
    say(false, "Created", "Created container: " + spec(i).name, i);
    say(false, "Started", "Started container " + spec(i).name, i);
  } else if (!current(i, attempt) || !at(i).alive()) {
    return settle(now);
  }
  auto& c = at(i);
  end_start(i);
  probes_off(i);
  c.at = stage::exited;
  c.ready = c.started = false;
  c.waiting_reason.clear();
  c.told_back_off = false;
  if (exit.id.empty()) exit.id = container_id(model_->uid, spec(i).name, attempt);
  exit.finished = std::min(exit.finished, now); // the engine's clock may be ahead of ours
  c.exit = std::move(exit);
  return settle(now);
}

effects pod_core::on_timer(wall_time now) { return settle(now); }

bool pod_core::initialized() const noexcept {
  if (apps_began_) return true;
  for (int i = 0; i < count(); ++i) {
    if (spec(i).kind == container_kind::init && !(at(i).at == stage::exited && at(i).exit && at(i).exit->code == 0))
      return false;
    if (spec(i).kind == container_kind::sidecar && !at(i).started) return false;
  }
  return true;
}

void pod_core::say(bool warning, std::string reason, std::string message, int container) {
  out_.push_back({.what = effect_kind::event,
                  .container = container,
                  .warning = warning,
                  .name = std::move(reason),
                  .message = std::move(message)});
}

} // namespace troupe::kubelet
