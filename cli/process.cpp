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
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe::cli {

namespace {

constexpr const char* ready_fd_variable = "TROUPE_READY_FD";
constexpr const char* ready_word = "ready";
constexpr std::size_t line_bytes_max = 4096; // PIPE_BUF: a pipe takes as much at once
constexpr std::size_t told_bytes_max = 2000;
constexpr std::chrono::milliseconds dying_patience{10000};
constexpr std::chrono::milliseconds dying_shows_within{20};

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

/// True when the process is gone, at the latest after `patience`.
bool await_end(int pid, std::chrono::milliseconds patience) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return errno == ESRCH;
  pollfd p{fd, POLLIN, 0};
  const bool gone = ::poll(&p, 1, static_cast<int>(patience.count())) > 0;
  ::close(fd);
  return gone;
}

/// Between taking its SIGKILL and beginning to exit a process shows no sign of either: it gets a moment to show one.
bool is_or_gets_dying(int pid) { return is_dying(pid) || await_end(pid, dying_shows_within) || is_dying(pid); }

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
  return take_file(node_dir + "/lock");
}

result<std::optional<node_lock>> node_lock::take_file(const std::string& file) {
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

std::optional<int> running_pid(const std::string& node_dir) { return lock_holder(node_dir + "/lock"); }

std::optional<int> lock_holder(const std::string& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  bool held = ::flock(fd, LOCK_EX | LOCK_NB) != 0;
  const int pid = held ? pid_in(file) : 0;
  if (held && pid > 0 && is_or_gets_dying(pid)) {
    await_end(pid, dying_patience);
    held = ::flock(fd, LOCK_EX | LOCK_NB) != 0;
  }
  ::close(fd);
  if (!held) return std::nullopt;
  return pid > 0 ? std::optional<int>{pid} : std::nullopt;
}

namespace {

struct pid_watch {
  int pid, fd;
};

/// Waits for the end of all; false when some are left.
bool await_ends(const std::vector<pid_watch>& all, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  for (const auto& w : all) {
    pollfd p{w.fd, POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (::poll(&p, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) == 0) return false;
  }
  return true;
}

} // namespace

result<void> stop_processes(const std::vector<int>& pids, std::chrono::seconds grace) {
  std::vector<pid_watch> all;
  result<void> out;
  for (const int pid : pids) {
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (fd >= 0) {
      all.push_back({pid, fd});
      if (::kill(pid, SIGTERM) != 0 && errno != ESRCH) out = trouble("cannot stop process " + std::to_string(pid));
    } else if (errno != ESRCH) {
      out = trouble("cannot watch process " + std::to_string(pid));
    }
  }
  if (out && !await_ends(all, grace)) {
    for (const auto& w : all)
      ::kill(w.pid, SIGKILL);
    await_ends(all, dying_patience);
  }
  for (const auto& w : all)
    ::close(w.fd);
  return out;
}

result<starting> start_detached(const std::vector<std::string>& args, const std::string& log_file) {
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return trouble("cannot make a pipe");
  const int log = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) {
    auto failed = trouble("cannot open " + log_file);
    ::close(pipe_fds[0]);
    ::close(pipe_fds[1]);
    return failed;
  }
  starting out;
  out.log_file = log_file;
  out.log_start = ::lseek(log, 0, SEEK_END);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);

  std::vector<char*> argv;
  for (const auto& a : args)
    argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  out.pid = ::fork();
  if (out.pid == 0) {
    ::setsid();
    sigset_t none; // a supervisor waits for its signals with all of them blocked
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(null, 0);
    ::dup2(log, 1);
    ::dup2(log, 2);
    const int ready = ::fcntl(pipe_fds[1], F_DUPFD, 3);
    ::setenv(ready_fd_variable, std::to_string(ready).c_str(), 1);
    ::execv("/proc/self/exe", argv.data());
    ::_exit(127);
  }
  const int fork_errno = errno;
  ::close(pipe_fds[1]);
  ::close(log);
  ::close(null);
  out.ready_fd = pipe_fds[0];
  if (out.pid > 0) return out;
  ::close(pipe_fds[0]);
  errno = fork_errno;
  return trouble("cannot start a process");
}

namespace {

/// Reads what a process says of itself: lines of what it waits for, then `ready`; nothing while it has not ended.
std::optional<result<int>> hear(const starting& p, std::size_t which, const on_wait& tell) {
  char text[line_bytes_max];
  const auto got = ::read(p.ready_fd, text, sizeof text);
  if (got < 0 && errno == EINTR) return std::nullopt;
  if (got > 0) {
    std::istringstream lines{std::string(text, static_cast<std::size_t>(got))};
    for (std::string line; std::getline(lines, line);) {
      if (line == ready_word) return p.pid;
      if (tell) tell(which, line);
    }
    return std::nullopt;
  }
  int code = 0;
  ::waitpid(p.pid, &code, 0);
  const auto told = told_since(p.log_file, p.log_start);
  return result<int>{errors::bad_request(told.empty() ? "the node ended at once; see " + p.log_file : told)};
}

} // namespace

std::vector<result<int>> await_ready(std::vector<starting> all, std::chrono::seconds patience, const on_wait& tell) {
  const auto late = [&](const starting& p) {
    return errors::bad_request("the node is not ready after " + std::to_string(patience.count()) +
                               " s; it goes on starting, see " + p.log_file);
  };
  std::vector<result<int>> out;
  std::vector<pollfd> waiting;
  for (const auto& p : all) {
    out.emplace_back(late(p));
    waiting.push_back({p.ready_fd, POLLIN, 0});
  }
  // A caller that blocked the stop signals is told by them, too; they stay pending for it.
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  const int signals = ::signalfd(-1, &stop, SFD_CLOEXEC);
  waiting.push_back({signals, POLLIN, 0});
  const auto end = std::chrono::steady_clock::now() + patience;
  for (std::size_t left = all.size(); left > 0;) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (ms.count() <= 0 || ::poll(waiting.data(), waiting.size(), static_cast<int>(ms.count())) == 0) break;
    if (waiting.back().revents != 0) {
      for (std::size_t i = 0; i < all.size(); ++i)
        if (waiting[i].fd >= 0) out[i] = errors::bad_request("asked to stop before the node was ready");
      break;
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (waiting[i].fd < 0 || waiting[i].revents == 0) continue;
      auto said = hear(all[i], i, tell);
      if (!said) continue;
      out[i] = std::move(*said);
      waiting[i].fd = -1; // poll passes over it
      --left;
    }
  }
  if (signals >= 0) ::close(signals);
  for (const auto& p : all)
    ::close(p.ready_fd);
  return out;
}

result<int> spawn_detached(const std::vector<std::string>& args, const std::string& log_file,
                           std::chrono::seconds patience, const on_wait& tell) {
  auto p = start_detached(args, log_file);
  if (!p) return p.error();
  return await_ready({*p}, patience, tell).front();
}

namespace {

/// Where a parent listens; 0: there is none.
int parent_fd() {
  const char* value = std::getenv(ready_fd_variable);
  const int fd = value ? std::atoi(value) : 0;
  return fd < 3 ? 0 : fd;
}

/// At once, so that lines of a pipe never mix. A parent that has gone away is no reason to fail.
void say_line(int fd, std::string line) {
  line.resize(std::min(line.size(), line_bytes_max - 1));
  line += '\n';
  if (::write(fd, line.data(), line.size()) < 0) {
  }
}

} // namespace

void report_ready() {
  const int fd = parent_fd();
  ::unsetenv(ready_fd_variable);
  if (fd == 0) return;
  say_line(fd, ready_word);
  ::close(fd);
}

void report_waiting(const std::string& what) {
  if (const int fd = parent_fd()) say_line(fd, what);
}

} // namespace troupe::cli
