// cgroups: pod groups, usage and removal, on cgroup v2 and on v1 or hybrid hosts alike.
#include "runtime/linux/cgroups.hpp"

#include "runtime/linux/process.hpp"

#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <set>
#include <sstream>

namespace troupe::runtime::linux_host {
namespace {

constexpr const char* mount_root = "/sys/fs/cgroup";

bool is_v2(const std::string& path) {
  struct statfs fs {};
  return ::statfs(path.c_str(), &fs) == 0 && static_cast<unsigned long>(fs.f_type) == CGROUP2_SUPER_MAGIC;
}

std::vector<std::string> words(const std::string& s) {
  std::istringstream in(s);
  std::vector<std::string> out;
  for (std::string w; in >> w;)
    out.push_back(w);
  return out;
}

std::uint64_t number_in(const std::string& path) {
  const auto text = read_file(path);
  return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
}

/// Value of a `key value` line.
std::uint64_t keyed(const std::string& path, const std::string& key) {
  std::istringstream in(read_file(path).value_or(""));
  std::string k;
  std::uint64_t v = 0;
  while (in >> k >> v)
    if (k == key) return v;
  return 0;
}

/// Lets the children of every group on the way use the controllers; a controller the kernel lacks is skipped.
void delegate_controllers(const cgroup_layout& layout, const std::string& path) {
  std::string at = layout.v2_root;
  std::istringstream in(path);
  std::string part;
  while (true) {
    for (const auto& c : layout.v2_controllers)
      (void)write_value(at + "/cgroup.subtree_control", "+" + c);
    do {
      if (!std::getline(in, part, '/')) return;
    } while (part.empty());
    at += "/" + part;
    ::mkdir(at.c_str(), 0755);
  }
}

result<void> set_v2(const std::string& dir, const resource_limits& l) {
  const auto set = [&](const char* file, const std::string& value) -> result<void> {
    return exists(dir + "/" + file) ? write_value(dir + "/" + file, value) : result<void>();
  };
  if (l.cpu_shares > 2)
    if (auto r = set("cpu.weight", std::to_string(weight_of_shares(l.cpu_shares))); !r) return r;
  if (l.cpu_quota_us > 0)
    if (auto r = set("cpu.max", std::to_string(l.cpu_quota_us) + " " + std::to_string(l.cpu_period_us)); !r) return r;
  if (l.memory_bytes_max > 0)
    if (auto r = set("memory.max", std::to_string(l.memory_bytes_max)); !r) return r;
  if (l.pids_max > 0) return set("pids.max", std::to_string(l.pids_max));
  return {};
}

result<void> set_v1(const cgroup_layout& layout, const std::string& path, const resource_limits& l) {
  const auto set = [&](const char* controller, const char* file, std::int64_t value) -> result<void> {
    const auto it = layout.v1_roots.find(controller);
    if (value <= 0 || it == layout.v1_roots.end()) return {};
    if (auto r = make_directories(it->second + path, 0755); !r) return r;
    return write_value(it->second + path + "/" + file, std::to_string(value));
  };
  for (const auto* controller : {"cpu", "cpuacct", "memory"})
    if (const auto it = layout.v1_roots.find(controller); it != layout.v1_roots.end())
      if (auto r = make_directories(it->second + path, 0755); !r) return r;
  if (auto r = set("cpu", "cpu.shares", l.cpu_shares); !r) return r;
  if (l.cpu_quota_us > 0) {
    if (auto r = set("cpu", "cpu.cfs_period_us", l.cpu_period_us); !r) return r;
    if (auto r = set("cpu", "cpu.cfs_quota_us", l.cpu_quota_us); !r) return r;
  }
  if (auto r = set("memory", "memory.limit_in_bytes", l.memory_bytes_max); !r) return r;
  return set("pids", "pids.max", l.pids_max);
}

void collect_processes(const std::string& dir, std::set<int>& out) {
  for (const auto& w : words(read_file(dir + "/cgroup.procs", 16 << 20).value_or("")))
    out.insert(std::atoi(w.c_str()));
  for (const auto& name : list_subdirectories(dir))
    collect_processes(dir + "/" + name, out);
}

/// Removes the directories of a group bottom-up (the files in them are not real); errno or 0.
int remove_directories(const std::string& dir) {
  if (::rmdir(dir.c_str()) == 0 || errno == ENOENT) return 0;
  for (const auto& name : list_subdirectories(dir))
    remove_directories(dir + "/" + name);
  return ::rmdir(dir.c_str()) == 0 || errno == ENOENT ? 0 : errno;
}

} // namespace

bool cgroup_layout::has(const std::string& controller) const {
  if (!v2) return v1_roots.contains(controller);
  return std::find(v2_controllers.begin(), v2_controllers.end(), controller) != v2_controllers.end();
}

std::vector<std::string> cgroup_layout::roots() const {
  std::set<std::string> out;
  if (v2) out.insert(v2_root);
  for (const auto& [controller, root] : v1_roots)
    out.insert(root);
  if (!hybrid_tree.empty()) out.insert(hybrid_tree);
  return {out.begin(), out.end()};
}

cgroup_layout detect_cgroups() {
  cgroup_layout out;
  if (is_v2(mount_root)) {
    out.v2 = true;
    out.v2_root = mount_root;
    const std::vector<std::string> wanted = {"cpuset", "cpu", "io", "memory", "pids"};
    const auto offered = words(read_file(out.v2_root + "/cgroup.controllers").value_or(""));
    for (const auto& c : wanted)
      if (std::find(offered.begin(), offered.end(), c) != offered.end()) out.v2_controllers.push_back(c);
    return out;
  }
  // mountinfo: id parent major:minor root mountpoint options [optional…] - type source super-options
  std::istringstream in(read_file("/proc/self/mountinfo", 64 << 20).value_or(""));
  for (std::string line; std::getline(in, line);) {
    const auto dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    const auto left = words(line.substr(0, dash)), right = words(line.substr(dash + 3));
    if (left.size() < 5 || right.size() < 3) continue;
    if (right[0] == "cgroup2" && left[4].starts_with(mount_root)) out.hybrid_tree = left[4];
    if (right[0] != "cgroup" || left[3] != "/") continue;
    std::istringstream options(right[2]);
    for (std::string option; std::getline(options, option, ',');)
      if (option != "rw" && option != "ro" && option != "xattr" && !option.starts_with("release_agent"))
        out.v1_roots[option] = left[4];
  }
  return out;
}

std::int64_t weight_of_shares(std::int64_t shares) {
  const auto s = std::clamp<std::int64_t>(shares, 2, 262144);
  return 1 + ((s - 2) * 9999) / 262142;
}

result<void> make_group(const cgroup_layout& layout, const std::string& path, const resource_limits& limits) {
  if (!layout.v2) return set_v1(layout, path, limits);
  delegate_controllers(layout, path);
  if (!exists(layout.v2_root + path)) return system_error("make cgroup " + layout.v2_root + path, errno);
  return set_v2(layout.v2_root + path, limits);
}

bool in_service_group() { return read_file("/proc/self/cgroup").value_or("").find(".service\n") != std::string::npos; }

void track_process(const cgroup_layout& layout, const std::string& path, int pid) {
  std::string root = layout.v2 ? layout.v2_root : std::string();
  if (const auto it = layout.v1_roots.find("name=systemd"); it != layout.v1_roots.end()) root = it->second;
  if (root.empty()) return;
  const auto procs = root + path + "/cgroup.procs";
  if (!exists(procs)) (void)make_directories(root + path, 0755);
  (void)write_value(procs, std::to_string(pid));
}

std::vector<int> group_processes(const cgroup_layout& layout, const std::string& path) {
  std::set<int> pids;
  for (const auto& root : layout.roots())
    if (exists(root + path)) collect_processes(root + path, pids);
  return {pids.begin(), pids.end()};
}

result<void> remove_group(const cgroup_layout& layout, const std::string& path) {
  if (path.size() < 2 || path[0] != '/') return failure("refusing to remove cgroup \"" + path + "\"");
  // A process may fork while we kill; each round catches what the one before let through.
  for (int round = 0; round < 10; ++round) {
    const auto pids = group_processes(layout, path);
    if (pids.empty()) break;
    std::vector<unique_fd> open;
    for (const int pid : pids) {
      open.push_back(open_pidfd(pid));
      signal_pidfd(open.back(), SIGKILL);
    }
    for (const auto& fd : open)
      wait_pidfd(fd, std::chrono::milliseconds(1000));
  }
  int error = 0;
  std::string where;
  for (const auto& root : layout.roots())
    if (const int e = remove_directories(root + path); e != 0) error = e, where = root + path;
  return error == 0 ? result<void>() : result<void>(system_error("remove cgroup " + where, error));
}

result<usage> read_usage(const cgroup_layout& layout, const std::string& path) {
  usage out;
  std::uint64_t total = 0, inactive = 0;
  if (layout.v2) {
    const auto dir = layout.v2_root + path;
    if (!exists(dir)) return failure("cgroup " + dir + " does not exist");
    out.cpu_ns = keyed(dir + "/cpu.stat", "usage_usec") * 1000;
    total = number_in(dir + "/memory.current");
    inactive = keyed(dir + "/memory.stat", "inactive_file");
  } else {
    const auto cpu = layout.v1_roots.find("cpuacct"), memory = layout.v1_roots.find("memory");
    if (cpu == layout.v1_roots.end() || memory == layout.v1_roots.end() || !exists(cpu->second + path))
      return failure("cgroup " + path + " does not exist or cpuacct and memory are not mounted");
    out.cpu_ns = number_in(cpu->second + path + "/cpuacct.usage");
    total = number_in(memory->second + path + "/memory.usage_in_bytes");
    inactive = keyed(memory->second + path + "/memory.stat", "total_inactive_file");
  }
  out.memory_bytes = total > inactive ? total - inactive : 0;
  return out;
}

std::int64_t oom_kills(const cgroup_layout& layout, const std::string& path) {
  if (layout.v2) return static_cast<std::int64_t>(keyed(layout.v2_root + path + "/memory.events", "oom_kill"));
  const auto memory = layout.v1_roots.find("memory");
  return memory == layout.v1_roots.end()
             ? 0
             : static_cast<std::int64_t>(keyed(memory->second + path + "/memory.oom_control", "oom_kill"));
}

} // namespace troupe::runtime::linux_host
