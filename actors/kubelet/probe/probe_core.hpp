// probe_core: when each probe of the node's containers is due, and when a run of results crosses its threshold.
// Owner:  prober_actor; called on its thread only; pure.
// Units:  seconds as in the API; instants wall-clock.
// Errors: a probe of no known kind never gets here (the API validates).
// Source: Kubernetes core/v1 Probe, kubelet prober: liveness and readiness wait for startup.
#pragma once

#include "actors/kubelet/pod/pod_core.hpp"

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace troupe::kubelet {

struct probe_spec {
  enum class how : std::uint8_t { exec, http, tcp, grpc } what = how::exec;
  std::vector<std::string> command;
  std::string host, path, scheme = "HTTP", service; // host empty: the pod's address
  std::uint16_t port = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::chrono::seconds initial_delay{0}, period{10}, timeout{1};
  int success_threshold = 1, failure_threshold = 3;
};

/// The probe of a container; nullopt when it has none. A named port is looked up in the container's ports.
std::optional<probe_spec> read_probe(const json::value& container, probe_kind kind);

struct probe_key {
  std::string pod_uid;
  int container = 0;
  int attempt = 0;
  probe_kind kind = probe_kind::liveness;
  friend auto operator<=>(const probe_key&, const probe_key&) = default;
};

/// One probe to run now.
struct due_probe {
  probe_key key;
  probe_spec spec;
};

struct probe_outcome {
  bool ok = false;
  bool unknown = false; // could not be run (queue full): counts neither way
  std::string message;
};

class probe_core {
public:
  /// What a result means for the pod.
  struct verdict {
    probe_key key;
    bool failed_now = false;    // this one run failed: worth an Unhealthy event
    std::optional<bool> turned; // the threshold was crossed: healthy or not
    std::string message;
  };

  void add(const std::string& pod_uid, int container, int attempt, const json::value& doc, bool started, bool ready,
           wall_time container_started, wall_time now);
  void remove(const std::string& pod_uid, int container);
  void remove_pod(const std::string& pod_uid);
  /// Probes due at `now`; each is marked running until on_result.
  std::vector<due_probe> due(wall_time now);
  /// The next instant at which something is due; nullopt when nothing is.
  std::optional<wall_time> next() const;
  std::optional<verdict> on_result(const probe_key& key, const probe_outcome& outcome, wall_time now);
  std::size_t size() const noexcept { return probes_.size(); }

private:
  struct entry {
    probe_spec spec;
    wall_time due{};
    bool running = false;
    bool held = false; // liveness and readiness until startup has passed
    std::optional<bool> state;
    int streak = 0;
    bool last = false;
  };
  void release(const probe_key& startup, wall_time now);
  std::map<probe_key, entry> probes_;
};

} // namespace troupe::kubelet
