#include "actors/kubelet/volume/tmpfs_backend.hpp"

#include "actors/kubelet/volume/atomic_backend.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <linux/magic.h>
#include <sstream>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <vector>

namespace troupe::kubelet {

namespace {

bool is_own_tmpfs(const std::string& dir) {
  struct statfs fs {};
  struct stat here {
  }, above{};
  if (::statfs(dir.c_str(), &fs) != 0 || fs.f_type != TMPFS_MAGIC) return false;
  if (::stat(dir.c_str(), &here) != 0 || ::stat((dir + "/..").c_str(), &above) != 0) return false;
  return here.st_dev != above.st_dev;
}

/// mountinfo escapes blanks and backslashes as octal numbers.
std::string unescape(const std::string& s) {
  std::string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == '\\' && i + 3 < s.size()) {
      out += static_cast<char>((s[i + 1] - '0') * 64 + (s[i + 2] - '0') * 8 + (s[i + 3] - '0'));
      i += 3;
    } else {
      out += s[i];
    }
  }
  return out;
}

std::vector<std::string> mounts_below(const std::string& dir) {
  std::vector<std::string> out;
  std::ifstream in{"/proc/self/mountinfo"};
  for (std::string line; std::getline(in, line);) {
    std::istringstream words{line};
    std::string word;
    for (int i = 0; i < 5; ++i)
      words >> word;
    auto path = unescape(word);
    if (path == dir || path.starts_with(dir + "/")) out.push_back(path);
  }
  return out;
}

} // namespace

result<void> mount_tmpfs(const std::string& dir, std::int64_t bytes_max, std::uint32_t mode) {
  if (is_own_tmpfs(dir)) return {};
  char text[64];
  std::snprintf(text, sizeof text, "mode=%o", mode);
  std::string options = text;
  if (bytes_max > 0) options += ",size=" + std::to_string(bytes_max);
  if (::mount("troupe-volume", dir.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0) return {};
  if (errno == EPERM) return errors::internal("mounting memory at " + dir + " is not permitted; run troupe as root");
  return system_error("mount memory at", dir, errno);
}

result<void> unmount_below(const std::string& dir) {
  auto paths = mounts_below(dir);
  for (auto it = paths.rbegin(); it != paths.rend(); ++it)
    if (::umount2(it->c_str(), UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && ::umount2(it->c_str(), MNT_DETACH) != 0)
      return system_error("unmount", *it, errno);
  return {};
}

} // namespace troupe::kubelet
