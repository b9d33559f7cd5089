// process: the running processes of a data dir: lock, pid, readiness, stop.
// Owner:  main thread of a verb.
// Units:  timeouts in chrono.
// Errors: sentences.
// Source: ours: a node holds an flock on DIR/NAME/lock for its lifetime, so a stale pid never misleads.
#pragma once

#include "api/status.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace troupe::cli {

/// Held while a node runs; released by the kernel when the process ends, however it ends.
class node_lock {
public:
  /// Empty when another process holds it.
  static result<std::optional<node_lock>> take(const std::string& node_dir);
  node_lock(node_lock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  node_lock& operator=(node_lock&&) = delete;
  ~node_lock();

private:
  explicit node_lock(int fd) : fd_(fd) {}
  int fd_;
};

/// The pid that holds DIR/NAME/lock, if any.
std::optional<int> running_pid(const std::string& node_dir);
/// Names of the nodes that have state in the data dir.
std::vector<std::string> nodes_in(const std::string& data_dir);
/// SIGTERM, then SIGKILL after the grace; returns when the process is gone.
result<void> stop_process(int pid, std::chrono::seconds grace);

/// Starts this program again as `up … --node NAME` in a session of its own, with its output in `log_file`, and waits
/// until it reports readiness or ends. The error holds what it said.
result<int> spawn_detached(const std::vector<std::string>& args, const std::string& log_file,
                           std::chrono::seconds patience);
/// Tells a waiting parent (if there is one) that the node is ready.
void report_ready();

} // namespace troupe::cli
