// dir_lock: one process at a time changes what the nodes of a data dir share: cluster.json, pki/, the nodes' network.
// Owner:  held for the time of a change by `up`, `down --purge` and each starting node.
// Units:  -
// Errors: a sentence with the directory.
// Source: flock(2) on the directory itself, so that nothing is left behind.
#pragma once

#include "api/status.hpp"

#include <string>

namespace troupe::node {

class dir_lock {
public:
  /// Makes the directory (0700) when missing; waits for the other holder.
  static result<dir_lock> take(const std::string& dir);
  dir_lock(dir_lock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  dir_lock& operator=(dir_lock&&) = delete;
  ~dir_lock();

private:
  explicit dir_lock(int fd) noexcept : fd_(fd) {}
  int fd_;
};

} // namespace troupe::node
