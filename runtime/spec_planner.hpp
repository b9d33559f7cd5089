// spec_planner: what a container should be → the OCI config.json that crun or runc reads.
// Owner:  pure; any thread.
// Units:  memory in bytes, cpu in CFS shares and µs; paths on the host are absolute.
// Errors: 400 naming the field: no command, unknown capability, relative mount destination, unknown propagation.
// Source: OCI runtime spec 1.0.2; defaults (capabilities, masked paths, devices, mounts) as containerd and Docker.
#pragma once

#include "runtime/engine.hpp"
#include "runtime/user_lookup.hpp"

#include <set>

namespace troupe::runtime {

/// What the host allows; detected once.
struct host_facts {
  bool cgroup_v2 = true;
  /// Capabilities this process may hand on, without CAP_ prefix; empty: all.
  std::set<std::string> capabilities;
  /// Lowest oom_score_adj this process may set (its own, where CAP_SYS_RESOURCE is missing).
  int oom_score_adj_min = -1000;
  /// Hard limit of open files that containers may get.
  std::uint64_t open_files_max = 1048576;
};

struct device_node {
  std::string path;
  char type = 'c';
  std::int64_t major = 0, minor = 0;
  std::uint32_t mode = 0666, uid = 0, gid = 0;
};

struct plan_input {
  const container_spec& container;
  const image_config& image;
  process_user user;
  host_facts host;
  std::string rootfs;      // relative to the bundle, or absolute
  std::string cgroup_path; // "/troupe-x/node/pod…/id"
  // Namespaces of the sandbox as files; an empty path means the host's.
  std::string netns, ipcns, utsns;
  bool host_pid = false;
  std::string shm_path;             // bind-mounted at /dev/shm
  std::string hostname;             // for $HOSTNAME
  std::string hostname_path;        // bind-mounted at /etc/hostname unless the kubelet mounts one; empty: none
  std::string termination_path;     // host file behind termination_message_path; empty: none
  std::vector<device_node> devices; // of the host, for privileged containers
};

result<json::value> plan_spec(const plan_input& in);

/// The `process` object of an exec in a container with this config.json.
json::value plan_exec(const json::value& config, const std::vector<std::string>& argv, bool terminal);

/// Argument vector of a container: the spec's, else the image's entrypoint and command.
std::vector<std::string> plan_args(const container_spec& c, const image_config& image);

} // namespace troupe::runtime
