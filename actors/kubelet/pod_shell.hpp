// pod_shell: state of the actor of one pod: performs the effects of pod_core and feeds it with what happened.
// Owner:  pod actor; all members on its thread. Jobs get copies and answer with pod_step messages.
// Units:  -
// Errors: a job that throws or is refused answers its step with a failure.
// Source: ours.
#pragma once

#include "actors/kubelet/context.hpp"
#include "actors/kubelet/volume/volume_backend.hpp"
#include "actors/support/event_recorder.hpp"

#include <caf/stateful_actor.hpp>

#include <memory>
#include <optional>
#include <string>

namespace troupe::kubelet {

class pod_shell {
public:
  static inline const char* name = "troupe.kubelet.pod";
  explicit pod_shell(caf::event_based_actor* self) : self_(self) {}

  void open(context_ptr ctx, pod_model_ptr model, adopted_pod found, caf::actor kubelet, counters_ptr counters);
  void on_model(pod_model_ptr model);
  void on_gone() { perform(core_->on_gone(now())); }
  void on_timer(std::uint64_t epoch);
  void on_exit(const runtime::container_info& info);
  void on_probe_verdict(const probe_core::verdict& v);
  void refresh_volumes();
  void touch() { counters_->touch(self_); }

private:
  wall_time now() const { return ctx_->now(self_); }
  void perform(effects todo);
  void perform_one(const effect& e);
  /// Runs `work` on a pool; the step it returns comes back to this actor. `refused` stands in for it when it cannot
  /// run.
  void job(const std::shared_ptr<executor>& pool, std::function<pod_step()> work,
           std::function<pod_step(const std::string&)> refused);

  void prepare_volumes();
  void make_volumes_now(bool first);
  void ask_tokens(std::function<void(std::optional<std::string>)> then);
  void create_sandbox();
  void find_image(int i);
  void pull_image(int i);
  void start_container(int i, int attempt);
  void run_hook(int i, int attempt, bool post, std::int64_t seconds);
  void send_signal(int i, int attempt, const std::string& signal);
  void inspect(int i, int attempt);
  void start_probes(int i, int attempt);
  void stop_probes(int i);
  void remove_container(int i, int attempt);
  void remove_sandbox();
  void remove_volumes();
  void publish();
  void send_patch(json::value patch);
  void on_patched(const response& r);
  void record(const effect& e);
  void arm(wall_time at);
  void delete_object();
  void finish();
  void finish_exit(int i, int attempt, exit_record exit) {
    perform(core_->on_exited(i, attempt, std::move(exit), now()));
  }
  pod_facts facts() const;
  const container_model& spec(int i) const { return core_->model().containers[static_cast<std::size_t>(i)]; }
  std::string id_of(int i, int attempt) const {
    return pod_core::container_id(core_->model().uid, spec(i).name, attempt);
  }

  caf::event_based_actor* self_;
  context_ptr ctx_;
  caf::actor kubelet_;
  counters_ptr counters_;
  std::unique_ptr<event_recorder> events_;
  std::unique_ptr<pod_core> core_;
  json::value api_status_; // what the API has, as far as we know
  std::uint64_t api_revision_ = 0;
  bool patching_ = false, patch_again_ = false, delete_waits_ = false, retry_armed_ = false;
  std::uint64_t timer_epoch_ = 0;
  std::chrono::milliseconds patch_retry_{0};
  std::shared_ptr<const volume_places> places_;
  token_map tokens_;
  bool refreshing_ = false, refresh_again_ = false, volumes_up_ = false;
};

} // namespace troupe::kubelet
