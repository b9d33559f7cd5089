// tmpfs_backend: memory file systems for secret contents and memory volumes.
// Owner:  worker threads.
// Units:  bytes; 0 means the kernel's default (half of the machine's memory).
// Errors: 403-like sentence when the process may not mount; 500 with the system's reason otherwise.
// Source: mount(2), proc(5) mountinfo.
#pragma once

#include "api/status.hpp"

#include <cstdint>
#include <string>

namespace troupe::kubelet {

/// Idempotent: a tmpfs that is mounted at `dir` already stays (also after our own restart).
result<void> mount_tmpfs(const std::string& dir, std::int64_t bytes_max, std::uint32_t mode);
/// Unmounts everything mounted at or below `dir`, deepest first.
result<void> unmount_below(const std::string& dir);

} // namespace troupe::kubelet
