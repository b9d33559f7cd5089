// component: what every component of a node is given when it is spawned, and the counters it keeps.
// Owner:  the env is copied into each actor; actor_board is shared and thread-safe.
// Units:  -
// Errors: -
// Source: ours.
#pragma once

#include "actors/protocol.hpp"
#include "api/identity.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace spdlog {
class logger;
}

namespace troupe {

/// Counters of one actor, updated by itself, read by `actors` in the shell and by /metrics.
struct actor_counters {
  std::string path; // e.g. node/kubelet/pod default/web-1; a slash means "child of"
  std::atomic<std::size_t> mailbox{0};
  std::atomic<std::uint64_t> handled{0};
  std::atomic<std::uint64_t> restarts{0};
  std::atomic<bool> alive{true};

  /// Call at the top of every handler: `self` is the actor.
  template <class Self>
  void touch(Self* self) noexcept {
    mailbox.store(self->mailbox().size(), std::memory_order_relaxed);
    handled.fetch_add(1, std::memory_order_relaxed);
  }
};
using counters_ptr = std::shared_ptr<actor_counters>;

/// The live tree of actors. Entries vanish when their owner drops the last pointer.
class actor_board {
public:
  /// A respawned actor asks for the same path and keeps its restart count (+1).
  counters_ptr enter(const std::string& path);
  std::vector<actor_info> list() const; // sorted by path

private:
  mutable std::mutex mutex_;
  mutable std::vector<std::weak_ptr<actor_counters>> entries_;
};

struct component_env {
  api_actor api;
  std::shared_ptr<store::published> state;
  std::shared_ptr<store::watch_hub> hub;
  std::shared_ptr<actor_board> board;
  identity who; // of this component, e.g. system:kube-scheduler
  std::string node_name;
  std::uint64_t fence_term = 0; // of leader-only components; 0: not fenced
};

/// A logger named after the component; all share one sink, levels changeable by name while running.
std::shared_ptr<spdlog::logger> component_log(const std::string& name);
/// Sets the level of one logger or of all ("*"); false when name or level is unknown.
bool set_log_level(const std::string& name, const std::string& level);

} // namespace troupe
