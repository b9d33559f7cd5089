// pod_model: what the pod core needs to know of a Pod object, read once per version of it.
// Owner:  nobody; immutable, shared between the pod actor and its jobs.
// Units:  seconds as in the API; instants are wall-clock time points.
// Errors: absent fields read as the API's defaults; the object was validated before.
// Source: Kubernetes core/v1 Pod.
#pragma once

#include "api/json.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe::kubelet {

using wall_time = std::chrono::system_clock::time_point;

enum class container_kind : std::uint8_t { init, sidecar, app };
enum class restart_policy : std::uint8_t { always, on_failure, never };
enum class pull_policy : std::uint8_t { always, if_not_present, never };

struct container_model {
  std::string name, image;
  container_kind kind = container_kind::app;
  pull_policy pull = pull_policy::if_not_present;
  bool has_startup = false, has_liveness = false, has_readiness = false;
  bool has_post_start = false, has_pre_stop = false;
  std::optional<std::int64_t> liveness_grace_s, startup_grace_s; // of the probe, instead of the pod's
  bool log_fallback = false;                                     // terminationMessagePolicy FallbackToLogsOnError
  bool terminal = false, open_stdin = false;
  const json::value* doc = nullptr; // the container inside pod_model::doc
};

struct pod_model {
  std::string ns, name, uid;
  std::shared_ptr<const json::value> doc;
  std::vector<container_model> containers; // init containers first, in order, then app containers
  restart_policy restart = restart_policy::always;
  bool host_network = false;
  std::int64_t grace_s = 30;
  std::optional<std::int64_t> active_deadline_s;
  std::optional<wall_time> deleting_since; // moment the deletion was asked for
  std::optional<wall_time> deletion_deadline;
  std::optional<std::int64_t> deletion_grace_s;
  std::string phase; // as the API has it
  std::vector<std::string> readiness_gates;

  /// `web_default(uid)`, as kubelet's messages name a pod.
  std::string title() const { return name + "_" + ns + "(" + uid + ")"; }
  const container_model* find(std::string_view container) const noexcept;
  /// `spec.containers{web}` or `spec.initContainers{setup}`.
  static std::string field_path(const container_model& c);
};
using pod_model_ptr = std::shared_ptr<const pod_model>;

pod_model_ptr read_pod(std::shared_ptr<const json::value> doc);

} // namespace troupe::kubelet
