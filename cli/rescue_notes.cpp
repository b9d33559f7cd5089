#include "cli/rescue_notes.hpp"

#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

namespace troupe::cli {

result<void> note(const std::string& node_dir, const std::string& line) {
  const auto path = node_dir + "/history.log";
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ ", &utc);
  const auto text = stamp + line + "\n";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const bool fine =
      fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  const auto why = std::strerror(errno);
  if (fd >= 0) ::close(fd);
  if (!fine) return errors::internal("cannot write " + path + ": " + why);
  return {};
}

} // namespace troupe::cli
