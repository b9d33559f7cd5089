// linux_engine, adoption: what an earlier process of ours left is taken over, or cleared away when it was half-made.
#include "runtime/linux/linux_engine.hpp"
#include "runtime/linux/mounts.hpp"
#include "runtime/linux/process.hpp"

#include <signal.h>

namespace troupe::runtime::linux_host {

void linux_engine::adopt() {
  for (const auto& id : list_directory(paths_.run + "/sandboxes")) {
    const auto dir = sandbox_dir(id);
    const auto record = decode_sandbox(read_file(dir + "/sandbox.json").value_or(""));
    if (record && record->boot == host_.boot && record->info.id == id) {
      sandboxes_[id] = *record;
      continue;
    }
    unmount_below(dir);
    (void)remove_tree(dir);
    if (safe_name(id)) (void)remove_group(host_.cgroups, "/" + paths_.cgroup + "/pod" + id);
  }
  for (const auto& id : list_directory(paths_.root + "/containers"))
    adopt_container(id);
}

/// crun and runc leave this FIFO between `create` and `start`.
bool linux_engine::waits_for_start(const std::string& id) const {
  return exists(runtime_root() + "/" + id + "/exec.fifo");
}

void linux_engine::adopt_container(const std::string& id) {
  auto record = decode_container(read_file(bundle(id) + "/state.json").value_or(""));
  const bool ours = record && record->id == id;
  if (!ours || record->phase == record_phase::creating) {
    container_record half;
    half.id = id;
    if (ours) half.cgroup = record->cgroup;
    // Its conmon may live and still write: end it before its directory goes.
    const int conmon = std::atoi(read_file(bundle(id) + "/conmon.pid").value_or("0").c_str());
    const auto command = read_file("/proc/" + std::to_string(conmon) + "/cmdline").value_or("");
    if (conmon > 1 && command.find(bundle(id)) != std::string::npos) ::kill(conmon, SIGKILL);
    erase_from_host(half);
    return;
  }
  auto c = std::make_shared<container>();
  c->record = *record;
  const bool same_boot = record->boot == host_.boot;
  // Either of `created` and `started` may be one step behind what happened.
  c->phase = same_boot && waits_for_start(id) ? container_phase::created : container_phase::running;
  if (same_boot && alive(record->pid, record->pid_started)) c->pidfd = open_pidfd(record->pid);
  if (same_boot && alive(record->conmon_pid, record->conmon_started)) c->conmon_pidfd = open_pidfd(record->conmon_pid);
  {
    std::lock_guard guard(lock_);
    containers_[id] = c;
  }
  if (c->conmon_pidfd && alive(record->conmon_pid, record->conmon_started)) {
    watcher_.watch(id, c->conmon_pidfd);
    settle_exit(id); // its file may have appeared between listing and watching
  } else {
    conmon_gone(id); // reads the exit file, or writes 137 where conmon died or the machine went down
  }
}

} // namespace troupe::runtime::linux_host
