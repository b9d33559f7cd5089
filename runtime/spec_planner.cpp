// spec_planner: what a container should be → the OCI config.json that crun or runc reads.
#include "runtime/spec_planner.hpp"

#include <algorithm>
#include <array>

namespace troupe::runtime {
namespace {

constexpr std::array all_capabilities = {"AUDIT_CONTROL",   "AUDIT_READ",   "AUDIT_WRITE",
                                         "BLOCK_SUSPEND",   "BPF",          "CHECKPOINT_RESTORE",
                                         "CHOWN",           "DAC_OVERRIDE", "DAC_READ_SEARCH",
                                         "FOWNER",          "FSETID",       "IPC_LOCK",
                                         "IPC_OWNER",       "KILL",         "LEASE",
                                         "LINUX_IMMUTABLE", "MAC_ADMIN",    "MAC_OVERRIDE",
                                         "MKNOD",           "NET_ADMIN",    "NET_BIND_SERVICE",
                                         "NET_BROADCAST",   "NET_RAW",      "PERFMON",
                                         "SETFCAP",         "SETGID",       "SETPCAP",
                                         "SETUID",          "SYS_ADMIN",    "SYS_BOOT",
                                         "SYS_CHROOT",      "SYS_MODULE",   "SYS_NICE",
                                         "SYS_PACCT",       "SYS_PTRACE",   "SYS_RAWIO",
                                         "SYS_RESOURCE",    "SYS_TIME",     "SYS_TTY_CONFIG",
                                         "SYSLOG",          "WAKE_ALARM"};
constexpr std::array default_capabilities = {"AUDIT_WRITE", "CHOWN",   "DAC_OVERRIDE",     "FOWNER",    "FSETID",
                                             "KILL",        "MKNOD",   "NET_BIND_SERVICE", "NET_RAW",   "SETFCAP",
                                             "SETGID",      "SETPCAP", "SETUID",           "SYS_CHROOT"};

constexpr std::array masked_paths = {"/proc/asound",
                                     "/proc/acpi",
                                     "/proc/kcore",
                                     "/proc/keys",
                                     "/proc/latency_stats",
                                     "/proc/timer_list",
                                     "/proc/timer_stats",
                                     "/proc/sched_debug",
                                     "/proc/scsi",
                                     "/sys/firmware",
                                     "/sys/devices/virtual/powercap"};
constexpr std::array readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

/// System calls that reach past the container; what RuntimeDefault refuses. The rest stays allowed, so that a new
/// libc never meets a list that is older than itself.
constexpr std::array refused_calls = {"acct",
                                      "add_key",
                                      "bpf",
                                      "clock_adjtime",
                                      "clock_settime",
                                      "create_module",
                                      "delete_module",
                                      "fanotify_init",
                                      "finit_module",
                                      "fsconfig",
                                      "fsmount",
                                      "fsopen",
                                      "fspick",
                                      "get_kernel_syms",
                                      "init_module",
                                      "io_uring_enter",
                                      "io_uring_register",
                                      "io_uring_setup",
                                      "ioperm",
                                      "iopl",
                                      "kcmp",
                                      "kexec_file_load",
                                      "kexec_load",
                                      "keyctl",
                                      "lookup_dcookie",
                                      "mount",
                                      "mount_setattr",
                                      "move_mount",
                                      "move_pages",
                                      "nfsservctl",
                                      "open_by_handle_at",
                                      "open_tree",
                                      "perf_event_open",
                                      "pivot_root",
                                      "query_module",
                                      "quotactl",
                                      "quotactl_fd",
                                      "reboot",
                                      "request_key",
                                      "setns",
                                      "settimeofday",
                                      "stime",
                                      "swapoff",
                                      "swapon",
                                      "syslog",
                                      "umount",
                                      "umount2",
                                      "unshare",
                                      "uselib",
                                      "userfaultfd",
                                      "ustat",
                                      "vhangup"};

template <class Range>
json::array strings(const Range& in) {
  json::array out;
  for (const auto& s : in)
    out.emplace_back(json::string_view(s));
  return out;
}

std::string upper(std::string_view s) {
  std::string out(s);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::toupper(c); });
  return out.starts_with("CAP_") ? out.substr(4) : out;
}

bool known_capability(const std::string& name) {
  return std::find(all_capabilities.begin(), all_capabilities.end(), name) != all_capabilities.end();
}

/// Kubernetes order: start from the default (or all, when added or privileged), drop, then add single ones.
result<std::set<std::string>> plan_capabilities(const security& sec, const host_facts& host) {
  std::set<std::string> out(default_capabilities.begin(), default_capabilities.end());
  const std::set<std::string> all(all_capabilities.begin(), all_capabilities.end());
  std::set<std::string> add, drop;
  for (const auto& c : sec.add_capabilities)
    add.insert(upper(c));
  for (const auto& c : sec.drop_capabilities)
    drop.insert(upper(c));
  for (const auto* list : {&add, &drop})
    for (const auto& c : *list)
      if (c != "ALL" && !known_capability(c)) return errors::bad_request("unknown capability \"" + c + "\"");
  if (sec.privileged || add.contains("ALL")) out = all;
  if (drop.contains("ALL")) out.clear();
  for (const auto& c : drop)
    out.erase(c);
  for (const auto& c : add)
    if (c != "ALL") out.insert(c);
  if (!host.capabilities.empty())
    std::erase_if(out, [&](const std::string& c) { return !host.capabilities.contains(c); });
  return out;
}

json::value mount(std::string_view destination, std::string_view type, std::string_view source,
                  std::initializer_list<std::string_view> options) {
  return json::object{{"destination", destination}, {"type", type}, {"source", source}, {"options", strings(options)}};
}

json::value bind_mount(std::string_view destination, std::string_view source, bool read_only,
                       std::string_view propagation) {
  json::array options = {"rbind", json::string_view(propagation.empty() ? "rprivate" : propagation),
                         read_only ? "ro" : "rw"};
  return json::object{
      {"destination", destination}, {"type", "bind"}, {"source", source}, {"options", std::move(options)}};
}

bool mounts_at(const container_spec& c, std::string_view destination) {
  return std::any_of(c.mounts.begin(), c.mounts.end(), [&](const auto& m) { return m.destination == destination; });
}

void add_system_mounts(const plan_input& in, json::array& out) {
  const bool privileged = in.container.sec.privileged;
  out.push_back(mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}));
  out.push_back(mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}));
  out.push_back(mount("/dev/pts", "devpts", "devpts",
                      {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}));
  out.push_back(mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}));
  out.push_back(mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", privileged ? "rw" : "ro"}));
  out.push_back(
      mount("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", privileged ? "rw" : "ro"}));
  if (!in.shm_path.empty() && !mounts_at(in.container, "/dev/shm"))
    out.push_back(bind_mount("/dev/shm", in.shm_path, false, ""));
  if (!in.hostname_path.empty() && !mounts_at(in.container, "/etc/hostname"))
    out.push_back(bind_mount("/etc/hostname", in.hostname_path, in.container.sec.read_only_rootfs, ""));
}

result<json::array> plan_mounts(const plan_input& in) {
  json::array out;
  add_system_mounts(in, out);
  auto mounts = in.container.mounts;
  // A mount below another must come after it; equal depth keeps the kubelet's order.
  std::stable_sort(mounts.begin(), mounts.end(), [](const mount_spec& a, const mount_spec& b) {
    const auto depth = [](const std::string& s) { return std::count(s.begin(), s.end(), '/'); };
    return depth(a.destination) < depth(b.destination);
  });
  for (const auto& m : mounts) {
    if (m.destination.empty() || m.destination[0] != '/' || m.destination == "/")
      return errors::bad_request("mount path \"" + m.destination + "\" must be absolute and not /");
    if (m.propagation != "" && m.propagation != "rprivate" && m.propagation != "rslave" && m.propagation != "rshared")
      return errors::bad_request("unknown mount propagation \"" + m.propagation + "\"");
    if (m.source == "tmpfs") {
      json::array options = {"nosuid", "nodev", "mode=1777", m.read_only ? "ro" : "rw"};
      if (m.tmpfs_bytes_max > 0) options.emplace_back("size=" + std::to_string(m.tmpfs_bytes_max));
      out.push_back(json::object{
          {"destination", m.destination}, {"type", "tmpfs"}, {"source", "tmpfs"}, {"options", std::move(options)}});
      continue;
    }
    if (m.source.empty() || m.source[0] != '/')
      return errors::bad_request("mount source \"" + m.source + "\" must be an absolute path");
    out.push_back(bind_mount(m.destination, m.source, m.read_only, m.propagation));
  }
  if (!in.termination_path.empty() && !mounts_at(in.container, in.container.termination_message_path))
    out.push_back(bind_mount(in.container.termination_message_path, in.termination_path, false, ""));
  return out;
}

/// The strongest propagation any mount asks for decides that of the root.
std::string_view root_propagation(const container_spec& c) {
  std::string_view out;
  for (const auto& m : c.mounts) {
    if (m.propagation == "rshared") return "rshared";
    if (m.propagation == "rslave") out = "rslave";
  }
  return out;
}

json::array plan_env(const plan_input& in) {
  std::vector<std::pair<std::string, std::string>> vars;
  const auto set = [&](std::string_view pair, bool keep_existing) {
    const auto eq = pair.find('=');
    if (eq == std::string_view::npos || eq == 0 || pair.find('\0') != std::string_view::npos) return;
    const auto key = pair.substr(0, eq);
    const auto it = std::find_if(vars.begin(), vars.end(), [&](const auto& v) { return v.first == key; });
    if (it == vars.end())
      vars.emplace_back(key, pair.substr(eq + 1));
    else if (!keep_existing)
      it->second = pair.substr(eq + 1);
  };
  for (const auto& e : in.image.env)
    set(e, false);
  if (!in.hostname.empty()) set("HOSTNAME=" + in.hostname, false);
  for (const auto& e : in.container.env)
    set(e, false);
  set("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", true);
  set("HOME=" + in.user.home, true);
  if (in.container.terminal) set("TERM=xterm", true);
  json::array out;
  for (const auto& [key, value] : vars)
    out.emplace_back(key + "=" + value);
  return out;
}

json::object plan_resources(const resource_limits& l, const plan_input& in) {
  json::object cpu, memory, out;
  if (l.cpu_shares > 0) cpu["shares"] = std::max<std::int64_t>(l.cpu_shares, 2);
  if (l.cpu_quota_us > 0) {
    cpu["quota"] = l.cpu_quota_us;
    cpu["period"] = l.cpu_period_us;
  }
  if (l.memory_bytes_max > 0) memory["limit"] = l.memory_bytes_max;
  if (!cpu.empty()) out["cpu"] = std::move(cpu);
  if (!memory.empty()) out["memory"] = std::move(memory);
  if (l.pids_max > 0) out["pids"] = json::object{{"limit", l.pids_max}};
  const bool privileged = in.container.sec.privileged;
  out["devices"] = json::array{json::object{{"allow", privileged}, {"access", "rwm"}}};
  return out;
}

json::array plan_namespaces(const plan_input& in) {
  json::array out;
  out.push_back(json::object{{"type", "mount"}});
  if (!in.host_pid) out.push_back(json::object{{"type", "pid"}});
  const auto join = [&](std::string_view type, const std::string& path) {
    if (!path.empty()) out.push_back(json::object{{"type", type}, {"path", path}});
  };
  join("network", in.netns);
  join("ipc", in.ipcns);
  join("uts", in.utsns);
  // On v1 a cgroup namespace would hide the controllers' mount points that exist outside; Docker's default too.
  if (in.host.cgroup_v2 && !in.container.sec.privileged) out.push_back(json::object{{"type", "cgroup"}});
  return out;
}

json::object plan_linux(const plan_input& in) {
  json::object out;
  out["namespaces"] = plan_namespaces(in);
  out["resources"] = plan_resources(in.container.limits, in);
  out["cgroupsPath"] = in.cgroup_path;
  if (const auto p = root_propagation(in.container); !p.empty()) out["rootfsPropagation"] = p;
  if (!in.container.sec.privileged) {
    out["maskedPaths"] = strings(masked_paths);
    out["readonlyPaths"] = strings(readonly_paths);
    if (in.container.sec.seccomp == "RuntimeDefault")
      out["seccomp"] = json::object{
          {"defaultAction", "SCMP_ACT_ALLOW"},
          {"syscalls", json::array{json::object{
                           {"names", strings(refused_calls)}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", 1}}}}};
  } else {
    json::array devices;
    for (const auto& d : in.devices)
      devices.push_back(json::object{{"path", d.path},
                                     {"type", std::string(1, d.type)},
                                     {"major", d.major},
                                     {"minor", d.minor},
                                     {"fileMode", d.mode},
                                     {"uid", d.uid},
                                     {"gid", d.gid}});
    if (!devices.empty()) out["devices"] = std::move(devices);
  }
  return out;
}

result<json::object> plan_process(const plan_input& in) {
  const auto& c = in.container;
  const auto args = plan_args(c, in.image);
  if (args.empty() || args[0].empty())
    return errors::bad_request("container \"" + c.name + "\": no command specified, and the image names none");
  for (const auto& a : args)
    if (a.find('\0') != std::string::npos)
      return errors::bad_request("container \"" + c.name + "\": an argument holds a zero byte");
  std::string cwd = !c.cwd.empty() ? c.cwd : in.image.working_dir;
  if (cwd.empty()) cwd = "/";
  if (cwd[0] != '/') return errors::bad_request("working directory \"" + cwd + "\" must be absolute");
  auto caps = plan_capabilities(c.sec, in.host);
  if (!caps) return caps.error();
  std::vector<std::string> cap_names;
  for (const auto& cap : *caps)
    cap_names.push_back("CAP_" + cap);

  json::object out;
  out["terminal"] = c.terminal;
  json::object user{{"uid", in.user.uid}, {"gid", in.user.gid}};
  json::array groups;
  for (const auto g : in.user.additional_gids)
    groups.emplace_back(g);
  user["additionalGids"] = std::move(groups);
  out["user"] = std::move(user);
  out["args"] = strings(args);
  out["env"] = plan_env(in);
  out["cwd"] = cwd;
  const auto names = strings(cap_names);
  out["capabilities"] = json::object{{"bounding", names}, {"effective", names}, {"permitted", names}};
  out["rlimits"] = json::array{
      json::object{{"type", "RLIMIT_NOFILE"}, {"hard", in.host.open_files_max}, {"soft", in.host.open_files_max}}};
  out["noNewPrivileges"] = c.sec.no_new_privileges;
  out["oomScoreAdj"] = std::clamp(c.limits.oom_score_adj, in.host.oom_score_adj_min, 1000);
  return out;
}

} // namespace

std::vector<std::string> plan_args(const container_spec& c, const image_config& image) {
  if (!c.args.empty()) return c.args;
  auto out = image.entrypoint;
  out.insert(out.end(), image.cmd.begin(), image.cmd.end());
  return out;
}

result<json::value> plan_spec(const plan_input& in) {
  if (const auto& s = in.container.sec.seccomp; !s.empty() && s != "Unconfined" && s != "RuntimeDefault")
    return errors::bad_request("seccomp profile \"" + s + "\" is not supported: use Unconfined or RuntimeDefault");
  auto process = plan_process(in);
  if (!process) return process.error();
  auto mounts = plan_mounts(in);
  if (!mounts) return mounts.error();
  json::object out;
  out["ociVersion"] = "1.0.2";
  out["process"] = std::move(*process);
  out["root"] = json::object{{"path", in.rootfs}, {"readonly", in.container.sec.read_only_rootfs}};
  out["mounts"] = std::move(*mounts);
  out["linux"] = plan_linux(in);
  return json::value(std::move(out));
}

json::value plan_exec(const json::value& config, const std::vector<std::string>& argv, bool terminal) {
  json::object out = jq::obj(config, {"process"});
  out["args"] = strings(argv);
  out["terminal"] = terminal;
  if (terminal) {
    auto& env = out["env"];
    if (!env.is_array()) env = json::array();
    auto& list = env.as_array();
    const bool has_term = std::any_of(list.begin(), list.end(), [](const json::value& v) {
      return v.is_string() && jq::view(v.as_string()).starts_with("TERM=");
    });
    if (!has_term) list.emplace_back("TERM=xterm");
  }
  return json::value(std::move(out));
}

} // namespace troupe::runtime
