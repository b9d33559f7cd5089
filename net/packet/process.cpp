#include "net/packet/process.hpp"

#include "net/packet/host_error.hpp"
#include "net/packet/limits.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace troupe::net {

namespace {

/// The two descriptors of a pipe, closed at the end of the scope.
struct pipe_pair {
  int read = -1, write = -1;
  bool open() noexcept {
    int both[2];
    if (::pipe2(both, O_CLOEXEC) != 0) return false;
    read = both[0];
    write = both[1];
    return true;
  }
  static void close_one(int& fd) noexcept {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
  ~pipe_pair() {
    close_one(read);
    close_one(write);
  }
};

struct exchange {
  std::string output;
  bool timed_out = false;
};

/// Feeds the input and collects the output at once, so that neither side waits for the other.
exchange talk(int to_child, int from_child, std::string_view input, std::chrono::steady_clock::time_point deadline) {
  exchange out;
  ::fcntl(to_child, F_SETFL, O_NONBLOCK);
  if (input.empty()) {
    ::close(to_child);
    to_child = -1;
  }
  std::array<char, 65536> piece;
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      out.timed_out = true;
      break;
    }
    std::array<pollfd, 2> fds{pollfd{from_child, POLLIN, 0}, pollfd{to_child, POLLOUT, 0}};
    if (::poll(fds.data(), fds.size(), static_cast<int>(left.count())) < 0 && errno != EINTR) break;
    if (to_child >= 0 && fds[1].revents != 0) {
      auto n = ::write(to_child, input.data(), input.size());
      if (n > 0) input.remove_prefix(static_cast<std::size_t>(n));
      if (input.empty() || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        ::close(to_child);
        to_child = -1;
      }
    }
    if (fds[0].revents != 0) {
      auto n = ::read(from_child, piece.data(), piece.size());
      if (n == 0 || (n < 0 && errno != EINTR)) break;
      if (n > 0 && out.output.size() < limits::child_output_bytes_max)
        out.output.append(piece.data(), static_cast<std::size_t>(n));
    }
  }
  if (to_child >= 0) ::close(to_child);
  return out;
}

/// A child that stops reading must end our write with EPIPE, not this process with SIGPIPE.
struct pipe_signal_block {
  sigset_t before{};
  pipe_signal_block() noexcept {
    sigset_t pipe_only;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
  }
  ~pipe_signal_block() {
    if (sigismember(&before, SIGPIPE) == 0) {
      sigset_t pipe_only;
      sigemptyset(&pipe_only);
      sigaddset(&pipe_only, SIGPIPE);
      timespec none{};
      while (sigtimedwait(&pipe_only, nullptr, &none) > 0) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
};

result<pid_t> start(const std::vector<std::string>& argv, const std::string& path, int in, int out) {
  std::vector<char*> args;
  for (const auto& a : argv)
    args.push_back(const_cast<char*>(a.c_str()));
  args.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, in, 0);
  posix_spawn_file_actions_adddup2(&files, out, 1);
  posix_spawn_file_actions_adddup2(&files, out, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  sigset_t usual;
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  int error = posix_spawn(&pid, path.c_str(), &files, &attributes, args.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return host_error("cannot start " + argv[0] + ": " + std::strerror(error));
  return pid;
}

} // namespace

std::string find_program(std::string_view name) {
  std::string folders = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin";
  if (const char* path = std::getenv("PATH")) folders = std::string{path} + ':' + folders;
  for (std::size_t at = 0; at < folders.size();) {
    auto end = folders.find(':', at);
    if (end == folders.npos) end = folders.size();
    auto full = folders.substr(at, end - at) + '/' + std::string{name};
    if (::access(full.c_str(), X_OK) == 0) return full;
    at = end + 1;
  }
  return {};
}

result<std::string> run_program(const std::vector<std::string>& argv, std::string_view input,
                                std::chrono::seconds time_max) {
  auto path = find_program(argv.front());
  if (path.empty()) {
    status missing;
    missing.code = 501;
    missing.reason = "NotImplemented";
    missing.message = argv.front() + " is not installed on this host";
    return missing;
  }
  pipe_signal_block quiet;
  pipe_pair to, from;
  if (!to.open() || !from.open()) return host_error(std::string{"cannot make a pipe: "} + std::strerror(errno));
  auto pid = start(argv, path, to.read, from.write);
  if (!pid) return pid.error();
  pipe_pair::close_one(to.read);
  pipe_pair::close_one(from.write);
  int feed = to.write;
  to.write = -1;
  auto said = talk(feed, from.read, input, std::chrono::steady_clock::now() + time_max);
  if (said.timed_out) ::kill(*pid, SIGKILL);
  int code = 0;
  while (::waitpid(*pid, &code, 0) < 0 && errno == EINTR) {
  }
  if (said.timed_out)
    return errors::timeout(argv.front() + " did not end within " + std::to_string(time_max.count()) + " s");
  if (code != 0) {
    while (!said.output.empty() && said.output.back() == '\n')
      said.output.pop_back();
    return host_error(argv.front() + " failed: " + said.output);
  }
  return std::move(said.output);
}

} // namespace troupe::net
