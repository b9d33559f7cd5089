#include "actors/support/event_recorder.hpp"

#include "actors/support/calls.hpp"
#include "actors/support/clock.hpp"
#include "actors/support/event_memory.hpp"
#include "actors/support/limits.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <spdlog/spdlog.h>

namespace troupe {

/// Held weakly by answers that arrive after the recorder is gone.
struct event_recorder::impl : std::enable_shared_from_this<impl> {
  impl(caf::event_based_actor* s, component_env e, std::string component, std::string host)
      : self(s), env(std::move(e)), log(component_log(component)), memory(std::move(component), std::move(host)) {}

  void write(std::optional<event_write> w) {
    if (!w) return;
    auto req = w->what == event_write::kind::create
                   ? calls::create(env, refs::events, w->ns, std::move(w->doc))
                   : calls::merge_patch(env, refs::events, w->ns, w->name, std::move(w->doc));
    std::weak_ptr<impl> weak = weak_from_this();
    auto key = std::move(w->key);
    self->request(env.api, limits::api_timeout, std::move(req))
        .then([weak, key](const response_ptr& r) { ended(weak, key, r ? r->code : 500, r ? r->error : nullptr); },
              [weak, key](caf::error&) { ended(weak, key, 504, nullptr); });
  }

  static void ended(const std::weak_ptr<impl>& weak, const std::string& key, int code,
                    const std::shared_ptr<const status>& why) {
    auto me = weak.lock();
    if (!me) return;
    if (code >= 400 && code != 404) me->log->debug("event not written: {} {}", code, why ? why->message : "");
    me->write(me->memory.done(key, code < 400, code == 404));
  }

  caf::event_based_actor* self;
  component_env env;
  std::shared_ptr<spdlog::logger> log;
  event_memory memory;
};

event_recorder::event_recorder(caf::event_based_actor* self, component_env env, std::string component, std::string host)
    : impl_(std::make_shared<impl>(self, std::move(env), std::move(component), std::move(host))) {}
event_recorder::~event_recorder() = default;
event_recorder::event_recorder(event_recorder&&) noexcept = default;

void event_recorder::record(const json::value& about, std::string_view type, std::string_view reason,
                            std::string message, std::string_view field_path) {
  auto now = wall_now(impl_->self->clock());
  impl_->write(impl_->memory.note(about, type, reason, message, field_path, now));
}

} // namespace troupe
