#include "actors/kubelet/volume/atomic_backend.hpp"

#include "actors/kubelet/limits.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe::kubelet {

namespace fs = std::filesystem;

status system_error(std::string_view doing, const std::string& path, int error) {
  auto text = std::string{doing} + " " + path + ": " + std::strerror(error);
  if (error == ENOSPC || error == EDQUOT) return errors::insufficient_storage(text + "; free some space on this disk");
  return errors::internal(text);
}

bool is_safe_path(std::string_view path) noexcept {
  if (path.empty() || path.front() == '/' || path.starts_with("..")) return false;
  while (!path.empty()) {
    auto slash = path.find('/');
    if (path.substr(0, slash) == "..") return false;
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
  }
  return true;
}

result<void> make_dirs(const std::string& path, std::uint32_t mode) {
  std::error_code ec;
  if (fs::is_directory(path, ec)) return {};
  fs::create_directories(fs::path{path}.parent_path(), ec);
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return system_error("make directory", path, errno);
  if (::chmod(path.c_str(), mode) != 0) return system_error("set the mode of", path, errno); // past the umask
  return {};
}

namespace {

result<void> write_all(const std::string& path, std::string_view bytes, std::uint32_t mode) {
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return system_error("write", path, errno);
  int error = 0;
  while (!bytes.empty() && !error) {
    auto n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) error = errno;
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fchmod(fd, mode) != 0 && !error) error = errno;
  ::close(fd);
  if (error) return system_error("write", path, error);
  return {};
}

result<void> write_payload_file(const std::string& path, const payload_file& f, std::optional<std::int64_t> group) {
  auto mode = group ? f.mode | 0440 : f.mode;
  if (auto r = write_all(path, f.bytes, mode); !r) return r;
  if (!f.uid && !group) return {};
  auto uid = static_cast<uid_t>(f.uid.value_or(-1));
  auto gid = static_cast<gid_t>(group.value_or(-1));
  if (::chown(path.c_str(), uid, gid) != 0) return system_error("change the owner of", path, errno);
  return {};
}

/// The directory ..data points at, as a name; empty when there is none.
std::string current_version(const std::string& dir) {
  std::error_code ec;
  auto target = fs::read_symlink(dir + "/..data", ec);
  return ec ? std::string{} : target.string();
}

bool holds_already(const std::string& dir, const file_set& files) {
  std::size_t seen = 0;
  std::error_code ec;
  for (auto it = fs::recursive_directory_iterator(dir, ec); !ec && it != fs::recursive_directory_iterator{};
       it.increment(ec)) {
    if (!it->is_regular_file(ec)) continue;
    auto want = files.find(fs::relative(it->path(), dir, ec).string());
    if (want == files.end()) return false;
    auto have = read_small_file(it->path().string(), limits::volume_payload_bytes_max + 1);
    if (!have || *have != want->second.bytes) return false;
    ++seen;
  }
  return !ec && seen == files.size();
}

result<std::string> make_version_dir(const std::string& dir) {
  for (int n = 0; n < 1000; ++n) {
    auto name = "..v" + std::to_string(::getpid()) + "_" + std::to_string(n);
    if (::mkdir((dir + "/" + name).c_str(), 0755) == 0) {
      ::chmod((dir + "/" + name).c_str(), 0755);
      return name;
    }
    if (errno != EEXIST) return system_error("make directory", dir + "/" + name, errno);
  }
  return errors::internal("no free version name in " + dir);
}

result<void> fill(const std::string& dir, const file_set& files, std::optional<std::int64_t> group) {
  for (const auto& [name, f] : files) {
    if (!is_safe_path(name)) return errors::bad_request("invalid file path " + name + " in a volume");
    auto path = dir + "/" + name;
    if (name.find('/') != std::string::npos)
      if (auto r = make_dirs(fs::path{path}.parent_path().string(), 0755); !r) return r;
    if (auto r = write_payload_file(path, f, group); !r) return r;
  }
  return {};
}

/// The names users see: one link per first path part, through ..data; links of vanished names go.
void relink(const std::string& dir, const file_set& files) {
  std::set<std::string> tops;
  for (const auto& [name, f] : files)
    tops.insert(name.substr(0, name.find('/')));
  std::error_code ec;
  for (const auto& t : tops)
    if (!fs::is_symlink(dir + "/" + t, ec)) fs::create_symlink("..data/" + t, dir + "/" + t, ec);
  for (const auto& e : fs::directory_iterator(dir, ec)) {
    auto name = e.path().filename().string();
    if (!name.starts_with("..") && e.is_symlink(ec) && !tops.contains(name)) fs::remove(e.path(), ec);
  }
}

} // namespace

result<bool> write_atomically(const std::string& dir, const file_set& files, std::optional<std::int64_t> group) {
  auto old = current_version(dir);
  if (!old.empty() && holds_already(dir + "/" + old, files)) return false;
  auto made = make_version_dir(dir);
  if (!made) return made.error();
  std::error_code ec;
  if (auto r = fill(dir + "/" + *made, files, group); !r) {
    fs::remove_all(dir + "/" + *made, ec);
    return r.error();
  }
  auto link = dir + "/..data_tmp";
  fs::remove(link, ec);
  if (::symlink(made->c_str(), link.c_str()) != 0) return system_error("link", link, errno);
  if (::rename(link.c_str(), (dir + "/..data").c_str()) != 0) return system_error("rename", link, errno);
  relink(dir, files);
  if (!old.empty()) fs::remove_all(dir + "/" + old, ec);
  return true;
}

result<void> replace_file(const std::string& path, std::string_view bytes, std::uint32_t mode) {
  auto temporary = path + ".new";
  ::unlink(temporary.c_str());
  if (auto r = write_all(temporary, bytes, mode); !r) return r;
  if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error("rename", temporary, errno);
  return {};
}

result<std::string> read_small_file(const std::string& path, std::size_t bytes_max) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error("read", path, errno);
  std::string out;
  char buffer[8192];
  ssize_t n = 0;
  while (out.size() < bytes_max && (n = ::read(fd, buffer, sizeof buffer)) > 0)
    out.append(buffer, static_cast<std::size_t>(n));
  int error = n < 0 ? errno : 0;
  ::close(fd);
  if (error) return system_error("read", path, error);
  return out;
}

} // namespace troupe::kubelet
