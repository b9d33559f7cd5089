// host: what this machine offers for containers: OCI runtime, conmon, cgroups, privileges.
#include "runtime/linux/host.hpp"

#include "runtime/linux/process.hpp"

#include <dirent.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <sstream>

extern const unsigned char troupe_hide_unified[];
extern const std::size_t troupe_hide_unified_size;

namespace troupe::runtime::linux_host {
namespace {

/// Kernel order of capabilities, number = index.
constexpr std::array capability_names = {"CHOWN",
                                         "DAC_OVERRIDE",
                                         "DAC_READ_SEARCH",
                                         "FOWNER",
                                         "FSETID",
                                         "KILL",
                                         "SETGID",
                                         "SETUID",
                                         "SETPCAP",
                                         "LINUX_IMMUTABLE",
                                         "NET_BIND_SERVICE",
                                         "NET_BROADCAST",
                                         "NET_ADMIN",
                                         "NET_RAW",
                                         "IPC_LOCK",
                                         "IPC_OWNER",
                                         "SYS_MODULE",
                                         "SYS_RAWIO",
                                         "SYS_CHROOT",
                                         "SYS_PTRACE",
                                         "SYS_PACCT",
                                         "SYS_ADMIN",
                                         "SYS_BOOT",
                                         "SYS_NICE",
                                         "SYS_RESOURCE",
                                         "SYS_TIME",
                                         "SYS_TTY_CONFIG",
                                         "MKNOD",
                                         "LEASE",
                                         "AUDIT_WRITE",
                                         "AUDIT_CONTROL",
                                         "SETFCAP",
                                         "MAC_OVERRIDE",
                                         "MAC_ADMIN",
                                         "SYSLOG",
                                         "WAKE_ALARM",
                                         "BLOCK_SUSPEND",
                                         "AUDIT_READ",
                                         "PERFMON",
                                         "BPF",
                                         "CHECKPOINT_RESTORE"};

std::string status_field(const std::string& name) {
  std::istringstream in(read_file("/proc/self/status").value_or(""));
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name + ":")) {
      const auto at = line.find_first_not_of(" \t", name.size() + 1);
      return at == std::string::npos ? "" : line.substr(at);
    }
  return {};
}

/// What we hold and may pass on: a program we start can have no more.
std::set<std::string> held_capabilities() {
  const auto bits = std::strtoull(status_field("CapPrm").c_str(), nullptr, 16) &
                    std::strtoull(status_field("CapBnd").c_str(), nullptr, 16);
  std::set<std::string> out;
  for (std::size_t i = 0; i < capability_names.size(); ++i)
    if ((bits >> i) & 1) out.insert(capability_names[i]);
  return out;
}

host_facts detect_facts(const cgroup_layout& cgroups) {
  host_facts out;
  out.cgroup_v2 = cgroups.v2;
  out.capabilities = held_capabilities();
  const bool may_raise = out.capabilities.contains("SYS_RESOURCE");
  if (!may_raise) out.oom_score_adj_min = std::atoi(read_file("/proc/self/oom_score_adj").value_or("0").c_str());
  struct rlimit limit {};
  if (!may_raise && ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max != RLIM_INFINITY)
    out.open_files_max = std::min<std::uint64_t>(out.open_files_max, limit.rlim_max);
  return out;
}

std::string version_of(const std::string& program) {
  auto out = run({.argv = {program, "--version"}, .env = base_environment()}, std::chrono::seconds(10), 4096);
  if (!out || out->exit_code != 0) return {};
  std::istringstream in(out->output);
  std::string name, word, number;
  in >> name >> word >> number;
  return word == "version" ? name + " " + number : out->output.substr(0, out->output.find('\n'));
}

/// On cgroup v2 crun 1.8 raises the limit of locked memory for its device filter, and fails where it may not.
bool crun_lacks_privilege(const host& h) {
  struct rlimit limit {};
  return h.cgroups.v2 && !h.facts.capabilities.contains("SYS_RESOURCE") && ::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
         limit.rlim_max != RLIM_INFINITY;
}

bool overlay_available() {
  const auto known = [] {
    return read_file("/proc/filesystems").value_or("").find("\toverlay\n") != std::string::npos;
  };
  if (known()) return true;
  if (const auto modprobe = find_program("modprobe"); !modprobe.empty())
    (void)run({.argv = {modprobe, "overlay"}, .env = base_environment()}, std::chrono::seconds(10), 1024);
  return known();
}

} // namespace

bool host::is_crun() const { return runtime.ends_with("crun"); }

std::string find_program(const std::string& name) {
  for (const auto* dir : {"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"})
    if (const auto path = dir + name; ::access(path.c_str(), X_OK) == 0) return path;
  return {};
}

host detect_host(const std::string& root, const std::string& wanted_runtime) {
  host out;
  out.cgroups = detect_cgroups();
  out.facts = detect_facts(out.cgroups);
  out.boot = boot_id();
  out.in_service = in_service_group();
  out.conmon = find_program("conmon");
  out.runtime = wanted_runtime;
  for (const auto* name : {"crun", "runc"})
    if (out.runtime.empty()) out.runtime = find_program(name);
  if (wanted_runtime.empty() && out.is_crun() && crun_lacks_privilege(out))
    if (const auto runc = find_program("runc"); !runc.empty()) out.runtime = runc;
  if (!out.runtime.empty()) out.runtime_version = version_of(out.runtime);
  if (out.is_crun() && !out.cgroups.hybrid_tree.empty()) {
    const auto helper = root + "/hide-unified";
    const std::string_view bytes(reinterpret_cast<const char*>(troupe_hide_unified), troupe_hide_unified_size);
    if (read_file(helper, 16 << 20) == std::string(bytes) || write_atomic(helper, bytes, false, 0700))
      out.prefix = {helper, out.cgroups.hybrid_tree};
    else if (const auto runc = find_program("runc"); !runc.empty() && wanted_runtime.empty()) {
      out.runtime = runc;
      out.runtime_version = version_of(runc);
    }
  }
  return out;
}

std::vector<std::string> check(const host& h, const std::string& root) {
  std::vector<std::string> out;
  if (::geteuid() != 0)
    out.push_back("containers need root: start Troupe as root");
  else if (!h.facts.capabilities.contains("SYS_ADMIN"))
    out.push_back("containers need CAP_SYS_ADMIN, which this process lacks");
  if (h.runtime.empty())
    out.push_back("neither crun nor runc is installed: apt install crun");
  else if (h.runtime_version.empty())
    out.push_back(h.runtime + " does not run");
  if (h.conmon.empty()) out.push_back("conmon is not installed: apt install conmon");
  if (!overlay_available()) out.push_back("the kernel has no overlay file system: load the module `overlay`");
  if (!h.cgroups.v2 && h.cgroups.v1_roots.empty())
    out.push_back("no cgroups are mounted below /sys/fs/cgroup");
  else
    for (const auto* c : {"cpu", "memory"})
      if (!h.cgroups.has(c))
        out.push_back("the cgroup controller `" + std::string(c) +
                      "` is not available: enable it on the kernel command line");
  struct statvfs fs {};
  if (::statvfs(root.c_str(), &fs) == 0) {
    if ((fs.f_flag & ST_NOEXEC) != 0)
      out.push_back(root + " is on a file system mounted noexec: choose another data directory");
    if ((fs.f_flag & ST_RDONLY) != 0)
      out.push_back(root + " is on a read-only file system: choose another data directory");
    if (fs.f_bavail * fs.f_frsize < (64u << 20))
      out.push_back(root + " has less than 64 MiB free: make room on that file system");
  }
  return out;
}

std::vector<device_node> host_devices() {
  std::vector<device_node> out;
  std::vector<std::string> dirs = {"/dev"};
  while (!dirs.empty()) {
    const auto dir = dirs.back();
    dirs.pop_back();
    for (const auto& name : list_directory(dir)) {
      const auto path = dir + "/" + name;
      struct stat st {};
      if (path == "/dev/pts" || path == "/dev/shm" || path == "/dev/mqueue" || path == "/dev/console" ||
          ::lstat(path.c_str(), &st) != 0)
        continue;
      if (S_ISDIR(st.st_mode))
        dirs.push_back(path);
      else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        out.push_back({path, S_ISCHR(st.st_mode) ? 'c' : 'b', static_cast<std::int64_t>(::major(st.st_rdev)),
                       static_cast<std::int64_t>(::minor(st.st_rdev)), static_cast<std::uint32_t>(st.st_mode & 07777),
                       st.st_uid, st.st_gid});
    }
  }
  return out;
}

} // namespace troupe::runtime::linux_host
