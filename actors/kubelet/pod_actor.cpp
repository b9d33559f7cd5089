// The actor of one pod: decodes messages, steps the core, performs its effects. Jobs are in pod_jobs.cpp.
#include "actors/kubelet/pod_shell.hpp"

#include "actors/kubelet/limits.hpp"
#include "actors/kubelet/pod/pod_status.hpp"
#include "actors/support/calls.hpp"
#include "actors/support/limits.hpp"
#include "api/meta/object_meta.hpp"

#include <caf/event_based_actor.hpp>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <filesystem>

namespace troupe::kubelet {

namespace {
std::uint64_t revision_of(const json::value& doc) {
  return std::strtoull(std::string{meta::resource_version(doc)}.c_str(), nullptr, 10);
}
json::value status_in(const json::value& doc) {
  auto* s = jq::find(doc, {"status"});
  return s ? *s : json::value(json::object{});
}
} // namespace

void pod_shell::open(context_ptr ctx, pod_model_ptr model, adopted_pod found, caf::actor kubelet,
                     counters_ptr counters) {
  ctx_ = std::move(ctx);
  kubelet_ = std::move(kubelet);
  counters_ = std::move(counters);
  events_ = std::make_unique<event_recorder>(self_, ctx_->options.env, "kubelet", ctx_->options.node_name);
  api_status_ = status_in(*model->doc);
  api_revision_ = revision_of(*model->doc);
  core_ = std::make_unique<pod_core>(std::move(model), std::move(found), now());
  perform(core_->begin(now()));
}

void pod_shell::on_model(pod_model_ptr model) {
  if (auto rev = revision_of(*model->doc); rev > api_revision_) {
    api_revision_ = rev;
    api_status_ = status_in(*model->doc);
  }
  auto old = core_->model_ptr();
  perform(core_->on_pod(std::move(model), now()));
  // Labels and annotations may be shown in a downwardAPI volume.
  if (meta::labels(*old->doc) != meta::labels(*core_->model().doc) ||
      meta::annotations(*old->doc) != meta::annotations(*core_->model().doc))
    refresh_volumes();
}

void pod_shell::perform(effects todo) {
  for (const auto& e : todo)
    perform_one(e);
}

void pod_shell::perform_one(const effect& e) {
  switch (e.what) {
  case effect_kind::prepare_volumes: return prepare_volumes();
  case effect_kind::create_sandbox: return create_sandbox();
  case effect_kind::find_image: return find_image(e.container);
  case effect_kind::pull_image: return pull_image(e.container);
  case effect_kind::start_container: return start_container(e.container, e.attempt);
  case effect_kind::post_start: return run_hook(e.container, e.attempt, true, 0);
  case effect_kind::pre_stop: return run_hook(e.container, e.attempt, false, e.seconds);
  case effect_kind::send_signal: return send_signal(e.container, e.attempt, e.name);
  case effect_kind::inspect: return inspect(e.container, e.attempt);
  case effect_kind::start_probes: return start_probes(e.container, e.attempt);
  case effect_kind::stop_probes: return stop_probes(e.container);
  case effect_kind::remove_container: return remove_container(e.container, e.attempt);
  case effect_kind::remove_sandbox: return remove_sandbox();
  case effect_kind::remove_volumes: return remove_volumes();
  case effect_kind::publish: return publish();
  case effect_kind::event: return record(e);
  case effect_kind::arm_timer: return arm(e.at);
  case effect_kind::delete_object: return delete_object();
  case effect_kind::finish: return finish();
  }
}

// ---------------------------------------------------------------- time, events

void pod_shell::arm(wall_time at) {
  auto wait = std::max(at - now(), wall_time::duration{0});
  // One millisecond more, so that rounding never wakes the core a moment too early.
  self_->delayed_send(self_, std::chrono::ceil<std::chrono::milliseconds>(wait) + std::chrono::milliseconds{1},
                      pod_timer::value, ++timer_epoch_);
}

void pod_shell::on_timer(std::uint64_t epoch) {
  if (epoch == timer_epoch_) perform(core_->on_timer(now()));
}

void pod_shell::record(const effect& e) {
  std::string path;
  if (e.container >= 0) path = pod_model::field_path(spec(e.container));
  events_->record(*core_->model().doc, e.warning ? "Warning" : "Normal", e.name, e.message, path);
  component_log("kubelet")->debug("pod {}/{} {}: {}", core_->model().ns, core_->model().name, e.name, e.message);
}

// ---------------------------------------------------------------- status

/// Newest wins: while a patch is under way only the fact that there is more to say is remembered.
void pod_shell::publish() {
  if (patching_) {
    patch_again_ = true;
    return;
  }
  auto status = build_status(*core_, api_status_, ctx_->options.host_ip, now());
  auto patch = status_patch(api_status_, status, core_->model().uid);
  if (!patch.is_null()) send_patch(std::move(patch));
}

void pod_shell::send_patch(json::value patch) {
  patching_ = true;
  patch_again_ = false;
  const auto& env = ctx_->options.env;
  auto call =
      calls::strategic_patch(env, refs::pods, core_->model().ns, core_->model().name, std::move(patch), "status");
  self_->request(env.api, troupe::limits::api_timeout, call)
      .then([this](const response_ptr& r) { on_patched(*r); },
            [this](const caf::error&) { on_patched(response{.code = 504}); });
}

void pod_shell::on_patched(const response& r) {
  patching_ = false;
  if (r.code < 300) {
    patch_retry_ = {};
    auto doc = document_of(r);
    if (auto rev = revision_of(doc); rev > api_revision_) {
      api_revision_ = rev;
      api_status_ = status_in(doc);
    }
  } else if (r.code != 404 && r.code != 409 && !delete_waits_) {
    component_log("kubelet")->warn("status of pod {}/{} not written: {}", core_->model().ns, core_->model().name,
                                   r.error ? r.error->message : std::to_string(r.code));
    patch_retry_ =
        std::clamp<std::chrono::milliseconds>(2 * patch_retry_, limits::api_retry_first, limits::api_retry_max);
    if (std::exchange(retry_armed_, true)) return;
    auto retry = std::make_shared<const pod_step>([](pod_shell& s) {
      s.retry_armed_ = false;
      s.publish();
    });
    self_->delayed_send(self_, patch_retry_, pod_step_ptr{retry});
    return;
  }
  if (delete_waits_) {
    delete_waits_ = false;
    return delete_object();
  }
  if (patch_again_) publish();
}

// ---------------------------------------------------------------- the end

void pod_shell::delete_object() {
  if (patching_) {
    delete_waits_ = true; // the last status goes first
    return;
  }
  const auto& env = ctx_->options.env;
  const auto& m = core_->model();
  json::value options = json::object{
      {"kind", "DeleteOptions"}, {"apiVersion", "v1"}, {"gracePeriodSeconds", 0}, {"preconditions", {{"uid", m.uid}}}};
  self_->request(env.api, troupe::limits::api_timeout, calls::remove(env, refs::pods, m.ns, m.name, std::move(options)))
      .then(
          [this](const response_ptr& r) {
            bool gone = r->code < 300 || r->code == 404 || r->code == 409;
            perform(core_->on_object_deleted(gone, now()));
          },
          [this](const caf::error&) { perform(core_->on_object_deleted(false, now())); });
}

void pod_shell::finish() {
  // The logs of an ended pod stay readable until its object goes.
  if (!ctx_->options.hollow)
    (void)ctx_->work->post([dir = ctx_->log_dir(core_->model())] {
      std::error_code ec;
      std::filesystem::remove_all(dir, ec);
    });
  caf::anon_send(ctx_->prober,
                 drop_probes_ptr{std::make_shared<const drop_probes>(drop_probes{core_->model().uid, -1})});
  self_->send(kubelet_, pod_finished::value, core_->model().uid);
  self_->quit();
}

// ---------------------------------------------------------------- the actor

caf::actor spawn_pod(caf::event_based_actor* parent, context_ptr ctx, pod_model_ptr model, adopted_pod found,
                     caf::actor kubelet, counters_ptr counters) {
  return parent->spawn<caf::monitored>(
      [ctx, model, found, kubelet, counters](caf::stateful_actor<pod_shell>* self) -> caf::behavior {
        self->set_default_handler(caf::drop);
        auto* s = &self->state;
        s->open(ctx, model, found, kubelet, counters);
        return {
            [s](const pod_step_ptr& step) {
              s->touch();
              (*step)(*s);
            },
            [s](const pod_model_message& m) {
              s->touch();
              s->on_model(m);
            },
            [s](pod_gone) {
              s->touch();
              s->on_gone();
            },
            [s](pod_timer, std::uint64_t epoch) {
              s->touch();
              s->on_timer(epoch);
            },
            [s](const exit_message& info) {
              s->touch();
              s->on_exit(*info);
            },
            [s](sources_changed) {
              s->touch();
              s->refresh_volumes();
            },
        };
      });
}

} // namespace troupe::kubelet
