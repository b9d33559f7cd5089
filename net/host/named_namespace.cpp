#include "net/host/named_namespace.hpp"

#include "net/packet/host_error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <thread>
#include <unistd.h>

namespace troupe::net {

namespace {

std::string path_of(const std::string& name) { return std::string{namespaces_dir} + "/" + name; }

/// A file without the mount is what remains when the machine or somebody else unmounted it.
bool is_namespace(const std::string& path) {
  struct statfs s {};
  return ::statfs(path.c_str(), &s) == 0 && s.f_type == NSFS_MAGIC;
}

/// Says that /run/netns did not exist before us, so that the last of our clusters takes it away again.
constexpr const char* marker_dir = "/run/troupe";
constexpr const char* marker = "/run/troupe/made-run-netns";

/// A mount made here must be seen in the mount namespaces of other processes, and its end as well: ip-netns does the
/// same, and finds the directory prepared when it comes second.
result<void> share_directory() {
  if (::mkdir(namespaces_dir, 0755) == 0) {
    ::mkdir(marker_dir, 0755);
    if (const int fd = ::open(marker, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); fd >= 0) ::close(fd);
  } else if (errno != EEXIST) {
    return host_error(std::string{"cannot make "} + namespaces_dir + ": " + std::strerror(errno));
  }
  if (::mount("", namespaces_dir, "none", MS_SHARED | MS_REC, nullptr) == 0) return {};
  if (errno != EINVAL) return host_error(std::string{"cannot share "} + namespaces_dir + ": " + std::strerror(errno));
  // Not a mount point yet.
  if (::mount(namespaces_dir, namespaces_dir, "none", MS_BIND | MS_REC, nullptr) != 0 ||
      ::mount("", namespaces_dir, "none", MS_SHARED | MS_REC, nullptr) != 0)
    return host_error(std::string{"cannot share "} + namespaces_dir + ": " + std::strerror(errno));
  return {};
}

void remove_directory_of_ours() {
  if (::access(marker, F_OK) != 0 || !named_namespaces("troupe-").empty()) return;
  ::unlink(marker);
  if (!named_namespaces("").empty()) return; // somebody else's by now
  ::umount2(namespaces_dir, MNT_DETACH);
  ::rmdir(namespaces_dir);
}

} // namespace

result<void> make_named_namespace(const std::string& name) {
  const auto path = path_of(name);
  if (is_namespace(path)) return {};
  if (auto shared = share_directory(); !shared) return shared;
  const int file = ::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0000);
  if (file < 0) return host_error("cannot make " + path + ": " + std::strerror(errno));
  ::close(file);
  int error = 0;
  // A thread of its own: the namespace of the caller stays what it is.
  std::thread{[&] {
    if (::unshare(CLONE_NEWNET) != 0 ||
        ::mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0)
      error = errno;
  }}.join();
  if (error == 0) return {};
  ::unlink(path.c_str());
  return host_error("cannot make network namespace " + name + ": " + std::strerror(error) +
                    (error == EPERM ? " (root is needed)" : ""));
}

result<void> remove_named_namespace(const std::string& name) {
  const auto path = path_of(name);
  if (::umount2(path.c_str(), MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
    return host_error("cannot unmount " + path + ": " + std::strerror(errno));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return host_error("cannot remove " + path + ": " + std::strerror(errno));
  remove_directory_of_ours();
  return {};
}

std::vector<std::string> named_namespaces(const std::string& prefix) {
  std::vector<std::string> out;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(namespaces_dir, ec))
    if (auto name = entry.path().filename().string(); name.starts_with(prefix)) out.push_back(std::move(name));
  std::sort(out.begin(), out.end());
  return out;
}

} // namespace troupe::net
