// event_recorder: writes core/v1 Events about objects; repeats of one event become its count.
// Owner:  one actor; all calls on its thread.
// Units:  remembers at most limits::recorded_events_max distinct events, least recently seen dropped first.
// Errors: an event that cannot be written is logged and dropped: events are advice, not state.
// Source: Kubernetes client-go tools/record semantics.
#pragma once

#include "actors/support/component.hpp"

#include <caf/fwd.hpp>

#include <memory>
#include <string>

namespace troupe {

class event_recorder {
public:
  /// `component` as in `kubelet`, `default-scheduler`, `deployment-controller`; `host` may be empty.
  event_recorder(caf::event_based_actor* self, component_env env, std::string component, std::string host);
  ~event_recorder();
  event_recorder(event_recorder&&) noexcept;

  /// `about` is the whole object (kind, apiVersion and metadata are read). type: Normal or Warning.
  void record(const json::value& about, std::string_view type, std::string_view reason, std::string message,
              std::string_view field_path = {});

private:
  struct impl;
  std::shared_ptr<impl> impl_; // answers in flight hold it weakly
};

} // namespace troupe
