#include "actors/node/dir_lock.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <unistd.h>

namespace troupe::node {

result<dir_lock> dir_lock::take(const std::string& dir) {
  std::error_code ec;
  std::filesystem::create_directories(dir, ec);
  if (ec)
    return errors::bad_request("cannot make the data dir " + dir + ": " + ec.message() +
                               "; choose another with --data-dir or run as root");
  const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errors::bad_request("cannot open " + dir + ": " + std::strerror(errno));
  while (::flock(fd, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    auto failed = errors::bad_request("cannot lock " + dir + ": " + std::strerror(errno));
    ::close(fd);
    return failed;
  }
  return dir_lock{fd};
}

dir_lock::~dir_lock() {
  if (fd_ >= 0) ::close(fd_);
}

} // namespace troupe::node
