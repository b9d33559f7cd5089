// cgroups: pod groups, usage and removal, on cgroup v2 and on v1 or hybrid hosts alike.
// Owner:  any thread; the layout is read once.
// Units:  cpu in shares and µs, memory in bytes, usage in ns and bytes.
// Errors: 500 or 403 with the file that refused.
// Source: kernel cgroup-v1 and cgroup-v2 documents; shares to weight as runc and crun convert them.
#pragma once

#include "runtime/engine.hpp"

#include <map>
#include <string>
#include <vector>

namespace troupe::runtime::linux_host {

struct cgroup_layout {
  bool v2 = false;
  /// Hybrid: a v2 tree beside the v1 ones; crun refuses to run where it can see it.
  std::string hybrid_tree;
  std::string v2_root;                         // "/sys/fs/cgroup" on v2
  std::map<std::string, std::string> v1_roots; // controller → mount point
  bool has(const std::string& controller) const;
  /// Every hierarchy in which our groups may exist.
  std::vector<std::string> roots() const;
  std::vector<std::string> v2_controllers;
};
cgroup_layout detect_cgroups();

/// cgroup v2 weight of v1 shares.
std::int64_t weight_of_shares(std::int64_t shares);

/// Makes the group (path starts with '/') and sets its limits; zero fields set none.
result<void> make_group(const cgroup_layout& layout, const std::string& path, const resource_limits& limits);
/// True when we run as a systemd service, whose end takes along every process in its group.
bool in_service_group();
/// Puts a process into a group of the hierarchy that only tracks processes (v2, or v1's systemd). Takes about 15 ms:
/// the kernel waits for an RCU grace period.
void track_process(const cgroup_layout& layout, const std::string& path, int pid);
/// Kills what runs in the group and below, waits for it, removes the group in every hierarchy; absent is fine.
result<void> remove_group(const cgroup_layout& layout, const std::string& path);
std::vector<int> group_processes(const cgroup_layout& layout, const std::string& path);
result<usage> read_usage(const cgroup_layout& layout, const std::string& path);
/// How often the kernel killed something in the group for want of memory.
std::int64_t oom_kills(const cgroup_layout& layout, const std::string& path);

} // namespace troupe::runtime::linux_host
