#include "cli/process.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe::cli {

namespace {

constexpr const char* ready_fd_variable = "TROUPE_READY_FD";
constexpr std::size_t told_bytes_max = 2000;
constexpr std::chrono::milliseconds dying_patience{10000};

status trouble(const std::string& what) { return errors::bad_request(what + ": " + std::strerror(errno)); }

int pid_in(const std::string& lock_file) {
  std::ifstream in(lock_file);
  int pid = 0;
  in >> pid;
  return pid;
}

/// A process that was killed holds its locks until its memory is gone: it runs no more, but is not gone either.
bool is_dying(int pid) {
  const auto dir = "/proc/" + std::to_string(pid);
  std::ifstream stat_file(dir + "/stat");
  std::string line;
  std::getline(stat_file, line);
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return true;
  std::istringstream fields(line.substr(name_end + 1));
  std::string state, skip;
  unsigned long flags = 0;
  fields >> state >> skip >> skip >> skip >> skip >> skip >> flags;
  constexpr unsigned long exiting = 0x4; // PF_EXITING of the kernel
  if (state == "Z" || state == "X" || (flags & exiting) != 0) return true;
  std::ifstream status_file(dir + "/status");
  while (std::getline(status_file, line))
    if (line.starts_with("SigPnd:") || line.starts_with("ShdPnd:"))
      if (std::strtoull(line.c_str() + 7, nullptr, 16) & (1ULL << (SIGKILL - 1))) return true;
  return false;
}

/// Waits until a dying process is gone.
void await_end(int pid, std::chrono::milliseconds patience) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return;
  pollfd p{fd, POLLIN, 0};
  ::poll(&p, 1, static_cast<int>(patience.count()));
  ::close(fd);
}

/// The last lines of the log behind `from`: what a node that failed to start had to say.
std::string told_since(const std::string& log_file, std::streamoff from) {
  std::ifstream in(log_file);
  in.seekg(from);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  if (text.size() > told_bytes_max) text.erase(0, text.size() - told_bytes_max);
  return text;
}

} // namespace

result<std::optional<node_lock>> node_lock::take(const std::string& node_dir) {
  std::error_code ec;
  std::filesystem::create_directories(node_dir, ec);
  if (ec)
    return errors::bad_request("cannot make the data dir " + node_dir + ": " + ec.message() +
                               "; choose another with --data-dir or run as root");
  ::chmod(node_dir.c_str(), 0700);
  const auto file = node_dir + "/lock";
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return trouble("cannot open " + file);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd);
    return std::optional<node_lock>{};
  }
  const auto pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    auto failed = trouble("cannot write " + file);
    ::close(fd);
    return failed;
  }
  return std::optional<node_lock>{node_lock{fd}};
}

node_lock::~node_lock() {
  if (fd_ >= 0) ::close(fd_);
}

std::optional<int> running_pid(const std::string& node_dir) {
  const auto file = node_dir + "/lock";
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  bool held = ::flock(fd, LOCK_EX | LOCK_NB) != 0;
  const int pid = held ? pid_in(file) : 0;
  if (held && pid > 0 && is_dying(pid)) {
    await_end(pid, dying_patience);
    held = ::flock(fd, LOCK_EX | LOCK_NB) != 0;
  }
  ::close(fd);
  if (!held) return std::nullopt;
  return pid > 0 ? std::optional<int>{pid} : std::nullopt;
}

std::vector<std::string> nodes_in(const std::string& data_dir) {
  std::vector<std::string> out;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(data_dir, ec))
    if (entry.is_directory(ec) && std::filesystem::exists(entry.path() / "lock", ec))
      out.push_back(entry.path().filename());
  std::sort(out.begin(), out.end());
  return out;
}

result<void> stop_process(int pid, std::chrono::seconds grace) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) {
    if (errno == ESRCH) return {};
    return trouble("cannot watch process " + std::to_string(pid));
  }
  if (::kill(pid, SIGTERM) != 0 && errno != ESRCH) {
    auto failed = trouble("cannot stop process " + std::to_string(pid));
    ::close(fd);
    return failed;
  }
  pollfd p{fd, POLLIN, 0};
  const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(grace).count();
  if (::poll(&p, 1, static_cast<int>(patience)) == 0) {
    ::kill(pid, SIGKILL);
    ::poll(&p, 1, 5000);
  }
  ::close(fd);
  return {};
}

result<int> spawn_detached(const std::vector<std::string>& args, const std::string& log_file,
                           std::chrono::seconds patience) {
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return trouble("cannot make a pipe");
  const int log = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return trouble("cannot open " + log_file);
  const auto log_start = ::lseek(log, 0, SEEK_END);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);

  std::vector<char*> argv;
  for (const auto& a : args)
    argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  const auto pid = ::fork();
  if (pid < 0) return trouble("cannot start a process");
  if (pid == 0) {
    ::setsid();
    ::dup2(null, 0);
    ::dup2(log, 1);
    ::dup2(log, 2);
    const int ready = ::fcntl(pipe_fds[1], F_DUPFD, 3);
    ::setenv(ready_fd_variable, std::to_string(ready).c_str(), 1);
    ::execv("/proc/self/exe", argv.data());
    ::_exit(127);
  }
  ::close(pipe_fds[1]);
  ::close(log);
  ::close(null);

  char word[16];
  pollfd p{pipe_fds[0], POLLIN, 0};
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
  const int polled = ::poll(&p, 1, static_cast<int>(ms));
  const auto got = polled > 0 ? ::read(pipe_fds[0], word, sizeof word) : 0;
  ::close(pipe_fds[0]);
  if (got > 0) return static_cast<int>(pid);
  if (polled == 0)
    return errors::bad_request("the node is not ready after " + std::to_string(patience.count()) +
                               " s; it goes on starting, see " + log_file);
  int code = 0;
  ::waitpid(pid, &code, 0);
  const auto told = told_since(log_file, log_start);
  return errors::bad_request(told.empty() ? "the node ended at once; see " + log_file : told);
}

void report_ready() {
  const char* value = std::getenv(ready_fd_variable);
  if (!value) return;
  const int fd = std::atoi(value);
  ::unsetenv(ready_fd_variable);
  if (fd < 3) return;
  // A parent that has gone away is no reason to fail.
  if (::write(fd, "ready\n", 6) < 0) {
  }
  ::close(fd);
}

} // namespace troupe::cli
