// manager_core: runs all controllers over one cache: events in, write tasks out, answers back in.
// Owner:  controller_manager actor; pure: no actor, clock or random source inside.
// Units:  tasks in flight are bounded by the caller's budget.
// Errors: a failed task puts its key back with back-off.
// Source: ours; Kubernetes controller-runtime shape.
//
// A key whose own writes the cache has not seen yet is not looked at: all tables share one store revision, so the
// revision in the answer says exactly how far the watch must have come. This replaces expectations.
#pragma once

#include "actors/controllers/controller.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace troupe::ctl {

struct task {
  std::uint64_t id = 0;
  std::string controller;
  const action* what = nullptr; // stays valid until finished(id)
};

struct answer {
  int code = 0; // HTTP; 0: no answer
  std::string reason, message;
  store::object_ptr object;
  bool namespace_terminating = false;
};

class manager_core {
public:
  using cursor_fn = std::function<store::revision(std::string_view table)>;
  using tell_fn = std::function<void(const std::string& controller, const note&)>;

  manager_core(cursor_fn cursor, tell_fn tell) : cursor_(std::move(cursor)), tell_(std::move(tell)) {}

  void add(std::unique_ptr<controller> c) { controllers_.push_back(std::move(c)); }
  void observe(std::string_view table, const store::event& e, sys_micros now);
  void relist(std::string_view table, const store::view& now_view, sys_micros now);
  void all_synced(sys_micros now);

  /// Looks at ready keys until `budget` tasks were made or nothing is ready.
  std::vector<task> step(const store::view& live, sys_micros now, std::size_t budget,
                         const std::function<void(store::revision)>& catch_up);
  void finished(std::uint64_t id, const answer& a, sys_micros now);
  /// Moves keys whose time has come; when to call again.
  std::optional<sys_micros> flush(sys_micros now);

  bool ready() const noexcept;
  std::size_t in_flight() const noexcept { return tasks_.size(); }
  const cluster_cache& cache() const noexcept { return cache_; }

private:
  struct job { // one look at one key
    controller* who = nullptr;
    std::string key;
    std::vector<action> actions;
    std::size_t open = 0;
    bool failed = false;
    std::optional<sys_micros> wake_at;
  };
  using job_ptr = std::shared_ptr<job>;
  struct open_task {
    job_ptr of;
    std::size_t index = 0;
  };
  void deliver(const change& c, sys_micros now);
  bool behind(controller* c, const std::string& key);
  void close(const job_ptr& j, sys_micros now);

  cursor_fn cursor_;
  tell_fn tell_;
  std::vector<std::unique_ptr<controller>> controllers_;
  cluster_cache cache_;
  std::unordered_map<std::uint64_t, open_task> tasks_;
  std::map<std::pair<controller*, std::string>, std::map<std::string, store::revision>> awaited_;
  std::uint64_t next_id_ = 0;
  std::size_t next_controller_ = 0; // round robin, so that none starves the others
};

} // namespace troupe::ctl
