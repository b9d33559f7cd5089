// mounts: overlay roots of containers, pinned namespaces, shared memory of pods, and undoing all of it.
// Owner:  any thread; no state.
// Units:  bytes.
// Errors: 500, 403 without privilege, 507 on a full disk.
// Source: kernel overlayfs document; mount(2).
#pragma once

#include "runtime/linux/files.hpp"

#include <map>
#include <string>
#include <vector>

namespace troupe::runtime::linux_host {

/// Mounts an overlay at root/target. All paths are relative to root, so that neither their length nor a ':' in root
/// matters: the mount options of 127 layers must fit into one page. `layers` topmost first.
result<void> mount_overlay(const std::string& root, const std::vector<std::string>& layers, const std::string& upper,
                           const std::string& work, const std::string& target);

struct namespace_request {
  bool net = true, ipc = true, uts = true;
  std::string hostname;
  std::map<std::string, std::string> sysctls; // "net.ipv4.ip_forward" → "1"; only namespaced ones
};
/// Makes the namespaces and pins them as dir/net, dir/ipc, dir/uts; lo is up.
result<void> pin_namespaces(const std::string& dir, const namespace_request& request);
result<void> mount_shm(const std::string& dir, std::int64_t bytes_max);
/// Mount points at or below path, deepest first.
std::vector<std::string> mounts_below(const std::string& path);
/// Detaches every mount at or below path.
void unmount_below(const std::string& path);
/// Detaches one mount point; not mounted is fine.
void unmount(const std::string& path);

} // namespace troupe::runtime::linux_host
