// host: what this machine offers for containers: OCI runtime, conmon, cgroups, privileges.
// Owner:  read once by the engine; immutable afterwards.
// Units:  -
// Errors: check() lists what is missing, one sentence each, with what to do.
// Source: ours; crun refuses hybrid cgroup hosts, see docs of crun 1.8 and hide_unified.cpp.
#pragma once

#include "runtime/linux/cgroups.hpp"
#include "runtime/spec_planner.hpp"

#include <string>
#include <vector>

namespace troupe::runtime::linux_host {

struct host {
  cgroup_layout cgroups;
  host_facts facts;
  std::string conmon;              // path, empty when missing
  std::string runtime;             // path of crun or runc, empty when missing
  std::string runtime_version;     // "crun 1.8.1"
  std::vector<std::string> prefix; // what to run before `runtime` (hide_unified), or nothing
  std::string boot;                // boot id
  bool in_service = false;         // see in_service_group
  bool is_crun() const;
};

/// `wanted_runtime`: a path, or empty to choose crun, else runc. `root` is where the helper program is put.
host detect_host(const std::string& root, const std::string& wanted_runtime);
/// Everything that would keep containers from running, one sentence each.
std::vector<std::string> check(const host& h, const std::string& root);
std::string find_program(const std::string& name);
std::vector<device_node> host_devices();

} // namespace troupe::runtime::linux_host
