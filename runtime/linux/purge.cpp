// purge: takes from the host everything that engines of these paths made, and nothing else.
#include "runtime/engine.hpp"
#include "runtime/linux/cgroups.hpp"
#include "runtime/linux/files.hpp"
#include "runtime/linux/mounts.hpp"
#include "runtime/linux/process.hpp"

#include <signal.h>

#include <algorithm>

namespace troupe::runtime {

using namespace linux_host;

namespace {

/// conmons of ours: their bundle lies below our root. Found by command line, so that one without any record counts.
std::vector<int> supervisors(const std::string& root) {
  std::vector<int> out;
  const auto mark = std::string("\0-b\0", 4) + root + "/containers/";
  for (const auto& name : list_directory("/proc")) {
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto command = read_file("/proc/" + name + "/cmdline").value_or("");
    const auto program = command.substr(0, command.find('\0'));
    if (program.ends_with("conmon") && command.find(mark) != std::string::npos) out.push_back(std::atoi(name.c_str()));
  }
  return out;
}

void end(const std::vector<int>& pids) {
  std::vector<unique_fd> open;
  for (const int pid : pids) {
    open.push_back(open_pidfd(pid));
    signal_pidfd(open.back(), SIGKILL);
  }
  for (const auto& fd : open)
    wait_pidfd(fd, std::chrono::seconds(5));
}

bool usable(const std::string& path) {
  return path.size() > 1 && path[0] == '/' && path.find("/..") == std::string::npos;
}

} // namespace

result<void> purge(const engine_paths& paths) {
  if (!usable(paths.root) || !usable(paths.run) || paths.cgroup.empty() || paths.cgroup.find("..") != std::string::npos)
    return failure("refusing to purge: the paths of the container runtime are not absolute");
  const auto layout = detect_cgroups();
  result<void> out;
  const auto keep_error = [&](const result<void>& r) {
    if (!r && out) out = r;
  };
  // Supervisors first, so that no exit is acted upon while the rest goes.
  end(supervisors(paths.root));
  keep_error(remove_group(layout, "/" + paths.cgroup));
  // The cluster's group above ours goes with its last node.
  if (const auto slash = paths.cgroup.find('/'); slash != std::string::npos)
    for (const auto& root : layout.roots())
      ::rmdir((root + "/" + paths.cgroup.substr(0, slash)).c_str());
  unmount_below(paths.run);
  unmount_below(paths.root);
  keep_error(remove_tree(paths.run));
  keep_error(remove_tree(paths.root + "/containers"));
  keep_error(remove_tree(paths.root + "/exits"));
  return out;
}

} // namespace troupe::runtime
