// action: what a controller wants done, as a value. The shell turns it into calls of the api actor.
// Owner:  nobody; plain values.
// Units:  -
// Errors: an action that fails puts its key back with back-off; a missing object counts as success for remove.
// Source: ours.
#pragma once

#include "actors/support/calls.hpp"
#include "api/json.hpp"
#include "api/meta/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::ctl {

/// A core/v1 Event to write. `{}` in the message is replaced by the name of the object that the action made.
struct note {
  json::value about;
  std::string type, reason, message;
};

struct action {
  enum class kind : std::uint8_t { create, update, merge_patch, strategic_patch, remove } what = kind::create;
  resource_ref ref; // views of static or registry strings
  std::string ns, name, subresource;
  json::value doc; // body, patch or DeleteOptions
  std::optional<note> when_done, when_failed;
  /// The answer of the API is kept for the next look at this key (see controller::result).
  bool tell = false;
  /// Already exists, not found: the world is as wanted, or the next look decides.
  bool lenient = false;
  /// The key may be looked at again before the watch shows this write (its look reads the live view).
  bool untracked = false;
};

struct outcome {
  std::vector<action> actions;
  std::vector<note> notes;
  std::optional<sys_micros> wake_at;

  void wake(sys_micros t) {
    if (!wake_at || t < *wake_at) wake_at = t;
  }
};

namespace act {
action create(resource_ref ref, std::string_view ns, json::value doc);
/// `doc` carries metadata.resourceVersion: a stale view conflicts instead of overwriting.
action update(resource_ref ref, json::value doc, std::string_view subresource = {});
action merge(resource_ref ref, std::string_view ns, std::string_view name, json::value patch,
             std::string_view subresource = {});
action strategic(resource_ref ref, std::string_view ns, std::string_view name, json::value patch,
                 std::string_view subresource = {});
/// Preconditions: uid and, when given, resourceVersion.
action remove(resource_ref ref, std::string_view ns, std::string_view name, std::string_view uid,
              std::string_view propagation = {}, std::string_view resource_version = {});
} // namespace act

/// `pods`, `deployments.apps`
std::string table_of(resource_ref ref);

} // namespace troupe::ctl
