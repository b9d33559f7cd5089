// mounts: overlay roots of containers, pinned namespaces, shared memory of pods, and undoing all of it.
#include "runtime/linux/mounts.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <sstream>
#include <thread>

namespace troupe::runtime::linux_host {
namespace {

/// Runs fn on a thread of its own, whose working directory or namespaces it may change. Threads cost tens of
/// microseconds; a fork of our large process costs milliseconds.
result<void> on_own_thread(const std::function<result<void>()>& fn) {
  result<void> out;
  try {
    std::thread([&] { out = fn(); }).join();
  } catch (const std::system_error& e) {
    return failure(std::string("cannot start a thread: ") + e.what());
  }
  return out;
}

/// /proc/sys path of a sysctl, only if it belongs to one of our namespaces.
result<std::string> sysctl_path(const std::string& name, const namespace_request& r) {
  const bool net = name.starts_with("net.");
  const bool ipc = name.starts_with("kernel.shm") || name.starts_with("kernel.msg") || name == "kernel.sem" ||
                   name.starts_with("fs.mqueue.");
  if (name.find('/') != std::string::npos || name.find("..") != std::string::npos || !(net || ipc))
    return errors::bad_request("sysctl \"" + name + "\" is not namespaced and cannot be set for a pod");
  if ((net && !r.net) || (ipc && !r.ipc))
    return errors::bad_request("sysctl \"" + name + "\" cannot be set for a pod that shares the host's namespace");
  std::string path = "/proc/sys/" + name;
  std::replace(path.begin() + 10, path.end(), '.', '/');
  return path;
}

result<void> loopback_up() {
  unique_fd s(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  if (!s || ::ioctl(s.get(), SIOCGIFFLAGS, &request) != 0) return system_error("read the state of lo", errno);
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP | IFF_RUNNING);
  if (::ioctl(s.get(), SIOCSIFFLAGS, &request) != 0) return system_error("bring lo up", errno);
  return {};
}

result<void> pin(const std::string& kind, const std::string& path) {
  unique_fd file(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0400));
  if (!file) return system_error("create " + path, errno);
  const auto source = "/proc/thread-self/ns/" + kind;
  if (::mount(source.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return system_error("pin the " + kind + " namespace at " + path, errno);
  return {};
}

result<void> make_and_pin(const std::string& dir, const namespace_request& r) {
  const int flags = (r.net ? CLONE_NEWNET : 0) | (r.ipc ? CLONE_NEWIPC : 0) | (r.uts ? CLONE_NEWUTS : 0);
  if (flags != 0 && ::unshare(flags) != 0) return system_error("make the namespaces of a pod", errno);
  if (r.uts && ::sethostname(r.hostname.data(), std::min<std::size_t>(r.hostname.size(), 64)) != 0)
    return system_error("set the hostname", errno);
  if (r.net)
    if (auto done = loopback_up(); !done) return done;
  for (const auto& [name, value] : r.sysctls) {
    auto path = sysctl_path(name, r);
    if (!path) return path.error();
    if (auto done = write_value(*path, value); !done)
      return errors::bad_request("sysctl \"" + name + "\": " + done.error().message);
  }
  if (r.net)
    if (auto done = pin("net", dir + "/net"); !done) return done;
  if (r.ipc)
    if (auto done = pin("ipc", dir + "/ipc"); !done) return done;
  if (r.uts) return pin("uts", dir + "/uts");
  return {};
}

/// Mount points in mountinfo are octal-escaped.
std::string unescape(const std::string& s) {
  std::string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == '\\' && i + 3 < s.size()) {
      out += static_cast<char>(std::stoi(s.substr(i + 1, 3), nullptr, 8));
      i += 3;
    } else {
      out += s[i];
    }
  }
  return out;
}

} // namespace

result<void> mount_overlay(const std::string& root, const std::vector<std::string>& layers, const std::string& upper,
                           const std::string& work, const std::string& target) {
  return on_own_thread([&]() -> result<void> {
    if (::unshare(CLONE_FS) != 0 || ::chdir(root.c_str()) != 0) return system_error("enter " + root, errno);
    std::string lower;
    for (const auto& l : layers)
      lower += (lower.empty() ? "" : ":") + l;
    const std::string options = "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work;
    // volatile: the upper layer dies with its container, so nothing is gained by syncing the disk at unmount.
    if (::mount("overlay", target.c_str(), "overlay", 0, (options + ",volatile").c_str()) == 0 ||
        (errno == EINVAL && ::mount("overlay", target.c_str(), "overlay", 0, options.c_str()) == 0))
      return {};
    return system_error("mount the container's root at " + root + "/" + target, errno);
  });
}

result<void> pin_namespaces(const std::string& dir, const namespace_request& request) {
  return on_own_thread([&] { return make_and_pin(dir, request); });
}

result<void> mount_shm(const std::string& dir, std::int64_t bytes_max) {
  if (auto r = make_directories(dir, 01777); !r) return r;
  const auto options = "mode=1777,size=" + std::to_string(bytes_max);
  if (::mount("shm", dir.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) != 0)
    return system_error("mount shared memory at " + dir, errno);
  return {};
}

std::vector<std::string> mounts_below(const std::string& path) {
  std::vector<std::string> out;
  std::istringstream in(read_file("/proc/self/mountinfo", 256 << 20).value_or(""));
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string skip, point;
    fields >> skip >> skip >> skip >> skip >> point;
    point = unescape(point);
    if (point == path || point.starts_with(path + "/")) out.push_back(std::move(point));
  }
  std::reverse(out.begin(), out.end()); // later mounts lie on or below earlier ones
  return out;
}

void unmount_below(const std::string& path) {
  for (const auto& point : mounts_below(path))
    ::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
}

void unmount(const std::string& path) { ::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW); }

} // namespace troupe::runtime::linux_host
