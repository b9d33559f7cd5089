// event_memory: decides what becomes of an event: a new Event object, a higher count of an old one, or nothing.
// Owner:  one event_recorder; pure, no clock inside.
// Units:  at most limits::recorded_events_max keys; per object a burst of limits::events_burst events,
//         then one each limits::events_refill.
// Errors: -
// Source: Kubernetes client-go tools/record (EventCorrelator).
//
// One write per event is under way at a time: repeats that arrive meanwhile are counted and written when it ends.
#pragma once

#include "api/json.hpp"
#include "api/meta/time.hpp"

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace troupe {

struct event_write {
  enum class kind : std::uint8_t { create, bump } what = kind::create;
  std::string key; // hand it back to done()
  std::string ns, name;
  json::value doc; // the Event, or the merge patch
};

class event_memory {
public:
  event_memory(std::string component, std::string host) : component_(std::move(component)), host_(std::move(host)) {}

  std::optional<event_write> note(const json::value& about, std::string_view type, std::string_view reason,
                                  std::string_view message, std::string_view field_path, sys_micros now);
  /// The write of `key` ended. `gone`: the Event to bump no longer exists (it expired): it is created anew.
  std::optional<event_write> done(const std::string& key, bool ok, bool gone);
  std::size_t size() const noexcept { return entries_.size(); }

private:
  struct entry {
    std::string key, ns, name;
    json::value doc;
    std::int64_t count = 0, written = 0;
    sys_micros last{};
    bool busy = false, stored = false;
  };
  struct bucket {
    double tokens = 0;
    sys_micros at{};
  };
  using list = std::list<entry>;

  json::object make_doc(const json::value& about, std::string_view type, std::string_view reason,
                        std::string_view message, std::string_view field_path, sys_micros now);
  bool allowed(const std::string& object_key, sys_micros now);
  std::optional<event_write> write_of(entry& e);

  std::string component_, host_;
  list recent_; // most recently seen first
  std::unordered_map<std::string, list::iterator> entries_;
  std::unordered_map<std::string, bucket> buckets_;
  std::uint64_t last_id_ = 0;
};

} // namespace troupe
