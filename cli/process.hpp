// process: the running processes of a data dir: lock, pid, readiness, stop.
// Owner:  main thread of a verb.
// Units:  timeouts in chrono.
// Errors: sentences.
// Source: ours: a node holds an flock on DIR/NAME/lock for its lifetime, so a stale pid never misleads.
#pragma once

#include "api/status.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace troupe::cli {

/// Held while a node runs; released by the kernel when the process ends, however it ends.
class node_lock {
public:
  /// Of DIR/NAME/lock. Empty when another process holds it.
  static result<std::optional<node_lock>> take(const std::string& node_dir);
  static result<std::optional<node_lock>> take_file(const std::string& file);
  node_lock(node_lock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  node_lock& operator=(node_lock&&) = delete;
  ~node_lock();

private:
  explicit node_lock(int fd) : fd_(fd) {}
  int fd_;
};

/// The pid that holds DIR/NAME/lock, if any.
std::optional<int> running_pid(const std::string& node_dir);
/// The pid that holds a lock file, if any.
std::optional<int> lock_holder(const std::string& file);
/// SIGTERM to all, then SIGKILL to those that are left after the grace; returns when the processes are gone.
result<void> stop_processes(const std::vector<int>& pids, std::chrono::seconds grace);

/// A process that was started and has not said yet whether it is ready.
struct starting {
  int pid = 0;
  int ready_fd = -1; // closed by await_ready or abandon
  std::string log_file;
  long log_start = 0;
};
/// Starts this program again as `up … --node NAME` in a session of its own, with its output in `log_file`.
result<starting> start_detached(const std::vector<std::string>& args, const std::string& log_file);
/// What a process waits for, and which one it is of those that were given.
using on_wait = std::function<void(std::size_t, const std::string&)>;
/// One result per process, when each reported readiness or ended, at most `patience` later for all together. The error
/// holds what it said; the value is its pid. Ends early when SIGTERM or SIGINT is pending (blocked by the caller).
/// Meanwhile `tell` is called with what report_waiting said.
std::vector<result<int>> await_ready(std::vector<starting> all, std::chrono::seconds patience, const on_wait& tell);
/// Both for one process.
result<int> spawn_detached(const std::vector<std::string>& args, const std::string& log_file,
                           std::chrono::seconds patience, const on_wait& tell);
/// Tells a waiting parent (if there is one) that the node is ready.
void report_ready();
/// Tells it, in one line, what a person has to do before the node gets ready.
void report_waiting(const std::string& what);

} // namespace troupe::cli
