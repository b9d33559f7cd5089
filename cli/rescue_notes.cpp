#include "cli/rescue_notes.hpp"

#include "cli/process.hpp"

#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace troupe::cli {

std::string absolute_dir(const std::string& dir) {
  auto out = std::filesystem::absolute(dir).lexically_normal().string();
  if (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

std::string host_node_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  std::string out;
  for (char c : std::string_view{name}) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (!out.empty() && (c == '-' || c == '.'))) out += c;
  }
  while (!out.empty() && (out.back() == '-' || out.back() == '.'))
    out.pop_back();
  return out.empty() ? "node-1" : out;
}

result<std::string> choose_node(const std::string& data_dir, const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  const auto names = nodes_in(data_dir);
  if (names.size() == 1) return names.front();
  if (names.empty())
    return errors::bad_request("no node has state in " + data_dir + "; say which one is meant with --node NAME");
  std::string all;
  for (const auto& n : names)
    all += (all.empty() ? "" : ", ") + n;
  return errors::bad_request(data_dir + " holds the nodes " + all + "; say which one is meant with --node NAME");
}

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
