// linux_engine, sandboxes: the namespaces, shared memory and cgroup that containers of a pod have in common.
#include "runtime/limits.hpp"
#include "runtime/linux/linux_engine.hpp"
#include "runtime/linux/mounts.hpp"

#include <sys/stat.h>

#include <functional>

namespace troupe::runtime::linux_host {

result<sandbox_info> linux_engine::create_sandbox(const sandbox_spec& spec) {
  if (broken_.code != 0) return broken_;
  if (!safe_name(spec.id))
    return errors::bad_request("sandbox id \"" + spec.id + "\" may hold letters, digits, '_', '.' and '-' only");
  std::lock_guard operation(sandbox_operations_[std::hash<std::string>()(spec.id) % 16]);
  if (const auto known = find_sandbox(spec.id)) return known->info;

  const auto dir = sandbox_dir(spec.id);
  sandbox_record record;
  record.info = {spec.id, spec.ns, spec.name, spec.host_network ? "" : dir + "/net",
                 "/" + paths_.cgroup + "/pod" + spec.id};
  record.hostname = spec.hostname;
  record.boot = host_.boot;
  record.host_network = spec.host_network;
  record.host_ipc = spec.host_ipc;
  record.host_pid = spec.host_pid;
  const auto build = [&]() -> result<void> {
    if (auto r = make_directories(dir); !r) return r;
    if (auto r = make_group(host_.cgroups, record.info.cgroup_parent, spec.limits); !r) return r;
    const namespace_request wanted{!spec.host_network, !spec.host_ipc, !spec.host_network, spec.hostname, spec.sysctls};
    if (auto r = pin_namespaces(dir, wanted); !r) return r;
    if (!spec.host_ipc)
      if (auto r = mount_shm(dir + "/shm", limits::shm_bytes); !r) return r;
    if (auto r = write_atomic(dir + "/hostname", spec.hostname + "\n", false, 0644); !r) return r;
    ::chmod((dir + "/hostname").c_str(), 0644);
    return write_atomic(dir + "/sandbox.json", encode(record));
  };
  if (auto r = build(); !r) {
    unmount_below(dir);
    (void)remove_tree(dir);
    (void)remove_group(host_.cgroups, record.info.cgroup_parent);
    return r.error();
  }
  std::lock_guard guard(lock_);
  sandboxes_[spec.id] = record;
  return record.info;
}

result<void> linux_engine::remove_sandbox(const std::string& id) {
  if (!safe_name(id)) return {};
  std::lock_guard operation(sandbox_operations_[std::hash<std::string>()(id) % 16]);
  std::vector<std::string> members;
  {
    std::lock_guard guard(lock_);
    for (const auto& [name, c] : containers_)
      if (c->record.sandbox_id == id) members.push_back(name);
  }
  for (const auto& name : members)
    if (auto r = remove(name); !r) return r;
  const auto dir = sandbox_dir(id);
  for (const auto* name : {"/net", "/ipc", "/uts", "/shm"})
    unmount(dir + name);
  auto gone = remove_group(host_.cgroups, "/" + paths_.cgroup + "/pod" + id);
  if (auto r = remove_tree(dir); !r) return r;
  std::lock_guard guard(lock_);
  sandboxes_.erase(id);
  return gone;
}

std::vector<sandbox_info> linux_engine::sandboxes() {
  std::lock_guard guard(lock_);
  std::vector<sandbox_info> out;
  for (const auto& [id, s] : sandboxes_)
    out.push_back(s.info);
  return out;
}

} // namespace troupe::runtime::linux_host
