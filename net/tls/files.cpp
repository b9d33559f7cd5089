// Files of the PKI: private, written atomically, errors that name the path.
#include "net/tls/files.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe::tls {

namespace {
status file_error(const std::string& what, const std::string& path) {
  return errors::internal("cannot " + what + " " + path + ": " + std::strerror(errno));
}
} // namespace

namespace detail {

result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return file_error("read", path);
  return std::string{std::istreambuf_iterator<char>(in), {}};
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

result<void> make_private_dir(const std::string& path) {
  std::string built;
  for (std::size_t i = 0; i <= path.size(); ++i) {
    if (i != path.size() && path[i] != '/') continue;
    built = path.substr(0, i);
    if (built.empty() || exists(built)) continue;
    const bool last = i == path.size();
    if (::mkdir(built.c_str(), last ? 0700 : 0755) != 0 && errno != EEXIST)
      return file_error("make the directory", built);
  }
  return {};
}

} // namespace detail

result<void> write_private_file(const std::string& path, const std::string& bytes) {
  const auto temporary = path + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return file_error("write", temporary);
  ::fchmod(fd, 0600);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      auto e = file_error("write", temporary);
      ::close(fd);
      ::unlink(temporary.c_str());
      return e;
    }
    done += static_cast<std::size_t>(n);
  }
  ::fsync(fd);
  ::close(fd);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return file_error("write", path);
  return {};
}

} // namespace troupe::tls
