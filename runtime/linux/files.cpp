// files: small files whole, atomic replacement, removal of trees, and errno as a sentence.
#include "runtime/linux/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace troupe::runtime::linux_host {

status failure(std::string message) {
  status s;
  s.message = std::move(message);
  return s;
}

status system_error(std::string_view what, int error) {
  std::string message = "cannot " + std::string(what) + ": " + std::strerror(error);
  if (error == ENOSPC || error == EDQUOT)
    return errors::insufficient_storage(message + "; free some space on that file system");
  if (error == EPERM || error == EACCES) {
    status s = failure(message + (::geteuid() == 0 ? "" : "; run as root"));
    s.code = 403;
    s.reason = "Forbidden";
    return s;
  }
  return failure(message);
}

namespace {

std::optional<std::string> read_all(int fd, std::size_t bytes_max) {
  std::string out;
  char buffer[16384];
  while (true) {
    const auto n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) return out;
    if (out.size() + static_cast<std::size_t>(n) > bytes_max) return std::nullopt;
    out.append(buffer, static_cast<std::size_t>(n));
  }
}

int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

void sync_directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  unique_fd dir(
      ::open(slash == std::string::npos ? "." : path.substr(0, slash + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir) ::fsync(dir.get());
}

/// Removes what lies in the open directory; errno of the first failure, 0 when none.
int empty_directory(unique_fd dir) {
  DIR* stream = ::fdopendir(dir.get());
  if (!stream) return errno;
  const int fd = dir.release(); // the stream owns it now
  int error = 0;
  while (const dirent* e = ::readdir(stream)) {
    const std::string_view name = e->d_name;
    if (name == "." || name == "..") continue;
    if (e->d_type != DT_DIR && ::unlinkat(fd, e->d_name, 0) == 0) continue;
    unique_fd child(::openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (child) {
      const int e2 = empty_directory(std::move(child));
      if (e2 != 0 && error == 0) error = e2;
    }
    if (::unlinkat(fd, e->d_name, AT_REMOVEDIR) != 0 && ::unlinkat(fd, e->d_name, 0) != 0 && errno != ENOENT &&
        error == 0)
      error = errno;
  }
  ::closedir(stream);
  return error;
}

} // namespace

std::optional<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  return read_all(fd.get(), bytes_max);
}

result<void> write_value(const std::string& path, std::string_view value) {
  unique_fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return system_error("open " + path, errno);
  if (::write(fd.get(), value.data(), value.size()) < 0)
    return system_error("write \"" + std::string(value) + "\" to " + path, errno);
  return {};
}

result<void> write_atomic(const std::string& path, std::string_view bytes, bool durable, unsigned mode) {
  const std::string temporary = path + ".tmp";
  unique_fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return system_error("create " + temporary, errno);
  int error = write_all(fd.get(), bytes);
  if (error == 0 && durable && ::fsync(fd.get()) != 0) error = errno;
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.c_str());
    return system_error("write " + path, error);
  }
  if (durable) sync_directory_of(path);
  return {};
}

result<void> make_directories(const std::string& path, unsigned mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    const auto part = path.substr(0, at);
    if (::mkdir(part.c_str(), at + 1 < path.size() ? 0755 : mode) != 0 && errno != EEXIST)
      return system_error("make directory " + part, errno);
  }
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return system_error("make directory " + path, errno);
  return {};
}

result<void> remove_tree(const std::string& path) {
  unique_fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir) {
    if (errno == ENOENT || ::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
    return system_error("remove " + path, errno);
  }
  const int error = empty_directory(std::move(dir));
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return system_error("remove " + path, error != 0 ? error : errno);
  return {};
}

namespace {

std::vector<std::string> list(const std::string& path, bool directories_only) {
  std::vector<std::string> out;
  DIR* stream = ::opendir(path.c_str());
  if (!stream) return out;
  while (const dirent* e = ::readdir(stream)) {
    std::string name = e->d_name;
    if (name != "." && name != ".." && (!directories_only || e->d_type == DT_DIR)) out.push_back(std::move(name));
  }
  ::closedir(stream);
  std::sort(out.begin(), out.end());
  return out;
}

} // namespace

std::vector<std::string> list_directory(const std::string& path) { return list(path, false); }

std::vector<std::string> list_subdirectories(const std::string& path) { return list(path, true); }

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

bool safe_name(std::string_view name) {
  if (name.empty() || name.size() > 200 || name[0] == '.' || name[0] == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

std::string read_in_root(const std::string& root, const std::string& path, std::size_t bytes_max) {
  unique_fd dir(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return {};
  open_how how{};
  // Non-blocking, so that a FIFO of that name cannot hold us.
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  unique_fd fd(static_cast<int>(::syscall(SYS_openat2, dir.get(), path.c_str(), &how, sizeof how)));
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return {};
  return read_all(fd.get(), bytes_max).value_or("");
}

} // namespace troupe::runtime::linux_host
