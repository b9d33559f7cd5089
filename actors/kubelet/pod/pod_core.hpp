// pod_core: the life of one pod on its node as a pure machine: what happened, and the time, in; what to do, out.
// Owner:  pod_actor; called on its thread only. No clock, IO or randomness inside.
// Units:  wall-clock instants; containers are addressed by index into pod_model::containers.
// Errors: a failed step becomes a waiting reason and an event, and is tried again after a back-off.
// Source: Kubernetes kubelet (syncPod, computePodActions, container GC); ours: level-triggered after every event.
//
// Effects are performed in the order given. Each question effect (volumes, sandbox, image, start, hook, inspect,
// delete) is answered by exactly one on_… call; until then the core does not ask it again.
#pragma once

#include "actors/kubelet/pod/back_off_core.hpp"
#include "actors/kubelet/pod/pod_model.hpp"

#include <optional>
#include <string>
#include <vector>

namespace troupe::kubelet {

enum class effect_kind : std::uint8_t {
  prepare_volumes, // -> on_volumes
  create_sandbox,  // -> on_sandbox (namespaces and address)
  find_image,      // -> on_image_found
  pull_image,      // -> on_image_pulled
  start_container, // -> on_started
  post_start,      // -> on_post_start
  pre_stop,        // -> on_pre_stop; seconds: time it may take
  send_signal,     // name: of the signal
  inspect,         // -> on_exited or on_still_running
  start_probes,
  stop_probes,
  remove_container, // an old instance with its log
  remove_sandbox,   // -> on_sandbox_removed
  remove_volumes,   // -> on_volumes_removed
  publish,          // the status changed
  event,            // record an Event
  arm_timer,        // -> on_timer
  delete_object,    // -> on_object_deleted
  finish,           // nothing is left of the pod
};

struct effect {
  effect_kind what{};
  int container = -1;
  int attempt = 0;
  std::int64_t seconds = 0;
  wall_time at{};
  bool warning = false;
  std::string name;    // signal, event reason
  std::string message; // of the event
};
using effects = std::vector<effect>;

enum class stage : std::uint8_t { waiting, pulling, starting, hook, running, pre_stop, terminating, exited };

struct exit_record {
  int code = 0;
  std::string reason, message; // Completed, Error, OOMKilled, StartError, ContainerStatusUnknown
  wall_time started{}, finished{};
  std::string id;
};

/// What is known of one container of the pod.
struct container_core {
  stage at = stage::waiting;
  std::string waiting_reason, waiting_message; // set: shown as the state while not running
  int attempt = -1;                            // of the newest instance; -1: none was started yet
  std::string image_id, image, stop_signal;
  wall_time started_at{};
  std::optional<exit_record> exit, previous;
  bool started = false; // startup probe passed (or there is none)
  bool ready = false;
  bool probing = false;
  back_off_core restart_wait, pull_wait, start_wait;
  wall_time not_before{};
  std::optional<wall_time> pull_back_off_at; // ErrImagePull turns to ImagePullBackOff
  wall_time kill_at{};
  bool killed = false;
  bool told_back_off = false;

  bool alive() const noexcept { return at >= stage::hook && at <= stage::terminating; }
  int next_attempt() const noexcept { return attempt + 1; }
};

struct image_found {
  std::string id, stop_signal;
  std::uint64_t bytes = 0;
};
enum class start_failure : std::uint8_t { config, create, start };
enum class probe_kind : std::uint8_t { startup, readiness, liveness };

/// An instance that exists when the kubelet comes back.
struct adopted_container {
  std::string name;
  int attempt = 0;
  bool running = false;
  std::string image_id, stop_signal;
  wall_time started_at{};
  exit_record exit; // when not running
};
struct adopted_pod {
  bool sandbox = false;
  std::string ip;
  std::vector<adopted_container> containers;
};

class pod_core {
public:
  pod_core(pod_model_ptr model, adopted_pod found, wall_time now);

  effects begin(wall_time now);
  effects on_pod(pod_model_ptr model, wall_time now);
  /// The object is gone from the API.
  effects on_gone(wall_time now);
  effects on_volumes(const std::optional<std::string>& failure, wall_time now);
  effects on_sandbox(bool ok, std::string ip_or_message, wall_time now);
  effects on_image_found(int container, const std::optional<image_found>& image, wall_time now);
  effects on_image_pulled(int container, const std::optional<image_found>& image, std::string message,
                          std::chrono::milliseconds took, wall_time now);
  effects on_started(int container, int attempt, wall_time now);
  effects on_start_failed(int container, int attempt, start_failure why, std::string message, wall_time now);
  effects on_post_start(int container, int attempt, const std::optional<std::string>& failure, wall_time now);
  effects on_pre_stop(int container, int attempt, const std::optional<std::string>& failure, wall_time now);
  effects on_exited(int container, int attempt, exit_record exit, wall_time now);
  effects on_still_running(int container, int attempt, wall_time now);
  /// A probe crossed its threshold.
  effects on_probe(int container, int attempt, probe_kind kind, bool healthy, wall_time now);
  effects on_sandbox_removed(const std::optional<std::string>& failure, wall_time now);
  effects on_volumes_removed(wall_time now);
  effects on_object_deleted(bool gone, wall_time now);
  effects on_timer(wall_time now);

  const pod_model& model() const noexcept { return *model_; }
  pod_model_ptr model_ptr() const noexcept { return model_; }
  const std::vector<container_core>& containers() const noexcept { return containers_; }
  const std::string& ip() const noexcept { return ip_; }
  bool sandbox_ready() const noexcept { return sandbox_ == step::done; }
  /// All regular init containers are through.
  bool initialized() const noexcept;
  bool finished() const noexcept { return finished_; }
  bool ending() const noexcept;
  std::string phase() const;
  const std::string& failed_reason() const noexcept { return failed_reason_; }
  const std::string& failed_message() const noexcept { return failed_message_; }
  wall_time start_time() const noexcept { return start_time_; }
  /// The API already holds the final status of this pod: nothing of it is published again.
  bool was_terminal() const noexcept { return was_terminal_; }

  static std::string container_id(const std::string& uid, const std::string& name, int attempt);

private:
  enum class step : std::uint8_t { none, busy, done, removing, removed };

  void adopt(const adopted_pod& found);
  effects settle(wall_time now);
  void run_step(wall_time now);
  void set_up(wall_time now);
  void advance(int i, wall_time now);
  void begin_start(int i, wall_time now);
  void end_start(int i) {
    if (starting_ == i) starting_ = -1;
  }
  void wait_with(int i, std::string reason, std::string message, wall_time until);
  bool should_restart(int i) const;
  bool back_off(int i, wall_time now);
  void probes_on(int i);
  void probes_off(int i);
  void stop_step(wall_time now);
  bool stop_containers(wall_time now);
  void clear_away(wall_time now);
  void begin_kill(int i, std::string message, wall_time deadline, wall_time now);
  void send_stop(int i, wall_time now);
  void check_kills(wall_time now);
  void check_deadline(wall_time now);
  void note_deletion(wall_time now);
  std::chrono::seconds probe_grace(int i, probe_kind kind) const;

  container_core& at(int i) { return containers_[static_cast<std::size_t>(i)]; }
  const container_core& at(int i) const { return containers_[static_cast<std::size_t>(i)]; }
  const container_model& spec(int i) const { return model_->containers[static_cast<std::size_t>(i)]; }
  int count() const noexcept { return static_cast<int>(containers_.size()); }
  bool current(int i, int attempt) const { return i >= 0 && i < count() && at(i).attempt == attempt; }
  void say(bool warning, std::string reason, std::string message, int container = -1);
  void ask(effect_kind what, int container = -1, int attempt = 0) {
    out_.push_back({.what = what, .container = container, .attempt = attempt});
  }
  void wake_at(wall_time t) {
    if (!wake_ || t < *wake_) wake_ = t;
  }

  pod_model_ptr model_;
  std::vector<container_core> containers_;
  effects out_;
  std::optional<wall_time> wake_;
  step volumes_ = step::none, sandbox_ = step::none;
  back_off_core volumes_wait_{std::chrono::seconds{1}, std::chrono::seconds{60}};
  back_off_core sandbox_wait_{std::chrono::seconds{1}, std::chrono::seconds{60}};
  back_off_core clear_wait_{std::chrono::seconds{1}, std::chrono::seconds{30}};
  wall_time volumes_not_before_{}, sandbox_not_before_{}, clear_not_before_{}, delete_not_before_{};
  int starting_ = -1; // containers start one after another, as their order in the spec promises
  std::string ip_;
  wall_time start_time_{};
  std::string failed_reason_, failed_message_;
  std::optional<wall_time> stop_deadline_;
  bool gone_ = false, deleting_object_ = false, object_deleted_ = false, finished_ = false, was_terminal_ = false;
  bool apps_began_ = false;
};

} // namespace troupe::kubelet
