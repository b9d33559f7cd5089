// context: what the actors of one kubelet share.
// Owner:  made by the kubelet actor; shared_ptr in its children and their jobs; fields are set before the first child.
// Units:  -
// Errors: -
// Source: ours.
#pragma once

#include "actors/kubelet/kubelet.hpp"
#include "actors/kubelet/pod/pod_core.hpp"
#include "actors/kubelet/probe/probe_backend.hpp"
#include "actors/kubelet/probe/probe_core.hpp"
#include "actors/kubelet/spec/env_planner.hpp"
#include "actors/kubelet/work_pool.hpp"

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/fwd.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace troupe::kubelet {

class io_thread;

/// Tells streams that follow a container when it ends. Thread-safe; a callback runs once, on the engine's thread.
class exit_board {
public:
  void listen(const std::string& container_id, std::weak_ptr<void> owner, std::function<void()> fn);
  void fire(const std::string& container_id);

private:
  struct listener {
    std::weak_ptr<void> owner;
    std::function<void()> fn;
  };
  std::mutex mutex_;
  std::multimap<std::string, listener> listeners_;
};

struct kubelet_context {
  kubelet_options options;
  std::shared_ptr<executor> work; // short engine calls
  std::shared_ptr<executor> slow; // pulls, hooks and probes by exec
  std::shared_ptr<io_thread> io;  // sockets, pipes and inotify; null on hollow nodes
  cluster_reader cluster;
  exit_board exits;
  caf::actor prober;
  std::int64_t node_cpu_milli = 0, node_memory_bytes = 0;
  std::atomic<std::uint32_t> hollow_addresses{0}; // given out so far; pods of hollow nodes have addresses, too

  std::string pod_dir(const std::string& uid) const { return options.data_dir + "/pods/" + uid; }
  std::string log_dir(const pod_model& m) const {
    return options.data_dir + "/pod-logs/" + m.ns + "_" + m.name + "_" + m.uid;
  }
  std::string log_path(const pod_model& m, const std::string& container, int attempt) const {
    return log_dir(m) + "/" + container + "/" + std::to_string(attempt) + ".log";
  }
  wall_time now(caf::event_based_actor* self) const;
};
using context_ptr = std::shared_ptr<kubelet_context>;

/// The n-th address of an IPv4 CIDR such as 10.244.3.0/24; empty when the text is none.
std::string nth_address(std::string_view cidr, std::uint32_t n);

/// Reads objects through the store's published view: no mailbox, any thread.
cluster_reader read_through(std::shared_ptr<store::published> state);
/// The document of an answer, stored object or body; null when there is none.
json::value document_of(const response& r);

class pod_shell;
/// The outcome of a job, applied on the pod actor's thread.
using pod_step = std::function<void(pod_shell&)>;
using pod_step_ptr = std::shared_ptr<const pod_step>;
using pod_model_message = std::shared_ptr<const pod_model>;
using exit_message = std::shared_ptr<const runtime::container_info>;

// Messages between the kubelet's own actors.
using pod_gone = caf::atom_constant<caf::atom("podgone")>;
using pod_timer = caf::atom_constant<caf::atom("podtimer")>;
using sources_changed = caf::atom_constant<caf::atom("sourceschg")>;
using pod_finished = caf::atom_constant<caf::atom("podfinish")>;

/// prober: start following the probes of a container.
struct follow_probes {
  std::shared_ptr<const json::value> pod; // keeps `container` alive
  const json::value* container = nullptr;
  std::string uid, container_id, pod_ip;
  int index = 0, attempt = 0;
  bool started = false, ready = false;
  wall_time container_started{};
  caf::actor pod_actor;
};
using follow_probes_ptr = std::shared_ptr<const follow_probes>;
struct drop_probes {
  std::string uid;
  int index = -1; // -1: all of the pod
};
using drop_probes_ptr = std::shared_ptr<const drop_probes>;
struct probe_answer {
  probe_key key;
  probe_outcome outcome;
};
using probe_answer_ptr = std::shared_ptr<const probe_answer>;
using probe_tick = caf::atom_constant<caf::atom("probetick")>;

/// Counters are made and kept by the parent, so that the count of restarts outlives the child.
caf::actor spawn_prober(caf::event_based_actor* parent, context_ptr ctx, counters_ptr counters);
caf::actor spawn_pod(caf::event_based_actor* parent, context_ptr ctx, pod_model_ptr model, adopted_pod found,
                     caf::actor kubelet, counters_ptr counters);
caf::actor spawn_node_agent(caf::event_based_actor* parent, context_ptr ctx, counters_ptr counters);

} // namespace troupe::kubelet

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::kubelet::pod_step_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::kubelet::pod_model_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::kubelet::exit_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::kubelet::follow_probes_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::kubelet::drop_probes_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::kubelet::probe_answer_ptr)
