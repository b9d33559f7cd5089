// process: child processes without fork: posix_spawn with exactly the descriptors asked for.
#include "runtime/linux/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <sstream>

namespace troupe::runtime::linux_host {
namespace {

using clock = std::chrono::steady_clock;

std::vector<char*> pointers(const std::vector<std::string>& in) {
  std::vector<char*> out;
  for (const auto& s : in)
    out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

/// posix_spawn's attribute and action objects, freed at the end of the scope.
struct spawn_setup {
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  spawn_setup() {
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_init(&actions);
  }
  ~spawn_setup() {
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
  }
  spawn_setup(const spawn_setup&) = delete;
  spawn_setup& operator=(const spawn_setup&) = delete;
};

void set_attributes(spawn_setup& s, bool new_session) {
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&s.attributes, &none);
  ::posix_spawnattr_setsigdefault(&s.attributes, &all);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (new_session) flags |= POSIX_SPAWN_SETSID;
  ::posix_spawnattr_setflags(&s.attributes, flags);
}

/// Copies of our descriptors above every target number, so that no dup2 overwrites one that is still needed.
result<std::vector<unique_fd>> lifted(const std::vector<int>& descriptors) {
  std::vector<unique_fd> out;
  for (const int fd : descriptors) {
    out.emplace_back(fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, 32));
    if (fd >= 0 && !out.back()) return system_error("copy a descriptor", errno);
  }
  return out;
}

} // namespace

std::vector<std::string> base_environment() {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"};
}

result<child> spawn(const spawn_request& request) {
  spawn_setup setup;
  set_attributes(setup, request.new_session);
  auto sources = lifted(request.descriptors);
  if (!sources) return sources.error();
  if (!request.terminal.empty()) {
    ::posix_spawn_file_actions_addopen(&setup.actions, 0, request.terminal.c_str(), O_RDWR, 0);
    ::posix_spawn_file_actions_adddup2(&setup.actions, 0, 1);
    ::posix_spawn_file_actions_adddup2(&setup.actions, 0, 2);
  }
  for (std::size_t i = 0; i < sources->size(); ++i) {
    const int target = static_cast<int>(i);
    if ((*sources)[i])
      ::posix_spawn_file_actions_adddup2(&setup.actions, (*sources)[i].get(), target);
    else if (request.terminal.empty() || target > 2)
      ::posix_spawn_file_actions_addopen(&setup.actions, target, "/dev/null", O_RDWR, 0);
  }
  ::posix_spawn_file_actions_addclosefrom_np(&setup.actions,
                                             static_cast<int>(std::max<std::size_t>(3, sources->size())));
  if (!request.cwd.empty()) ::posix_spawn_file_actions_addchdir_np(&setup.actions, request.cwd.c_str());
  const auto argv = pointers(request.argv), env = pointers(request.env);
  child out;
  const int error = ::posix_spawn(&out.pid, argv[0], &setup.actions, &setup.attributes, argv.data(), env.data());
  if (error != 0) return system_error("run " + request.argv[0], error);
  out.pidfd = open_pidfd(out.pid);
  return out;
}

int wait_child(int pid) {
  int state = 0;
  while (::waitpid(pid, &state, 0) < 0)
    if (errno != EINTR) return 255;
  return WIFSIGNALED(state) ? 128 + WTERMSIG(state) : WEXITSTATUS(state);
}

result<pipe_pair> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_error("make a pipe", errno);
  return pipe_pair{unique_fd(ends[0]), unique_fd(ends[1])};
}

result<finished> run(spawn_request request, std::chrono::milliseconds timeout, std::size_t output_bytes_max) {
  auto pipe = make_pipe();
  if (!pipe) return pipe.error();
  if (request.descriptors.size() < 3) request.descriptors.resize(3, -1);
  request.descriptors[1] = request.descriptors[2] = pipe->write.get();
  auto process = spawn(request);
  if (!process) return process.error();
  pipe->write.reset();
  ::fcntl(pipe->read.get(), F_SETFL, O_NONBLOCK);

  finished out;
  const auto deadline = clock::now() + timeout;
  char buffer[16384];
  // Reads all that is there now; false at the end of the stream.
  const auto drain = [&] {
    while (true) {
      const auto n = ::read(pipe->read.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return n < 0;
      const auto room = output_bytes_max - out.output.size();
      out.output.append(buffer, std::min(room, static_cast<std::size_t>(n)));
    }
  };
  bool streaming = true, running = true;
  while (running) {
    pollfd fds[2] = {{process->pidfd.get(), POLLIN, 0}, {streaming ? pipe->read.get() : -1, POLLIN, 0}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now()).count();
    const int n = left > 0 ? ::poll(fds, 2, static_cast<int>(std::min<long long>(left, 1 << 30))) : 0;
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) {
      out.timed_out = true;
      for (const int pid : process_tree(process->pid))
        ::kill(pid, SIGKILL);
      break;
    }
    if (fds[1].revents != 0) streaming = drain();
    if (fds[0].revents != 0) running = false;
  }
  // A grandchild may hold the pipe open; what the process itself wrote is in it by now.
  if (streaming) drain();
  out.exit_code = wait_child(process->pid);
  return out;
}

unique_fd open_pidfd(int pid) { return unique_fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

std::uint64_t start_time(int pid) {
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  if (!stat) return 0;
  // Field 22; counting starts after the last ')' because the command name may hold anything.
  const auto paren = stat->rfind(')');
  if (paren == std::string::npos) return 0;
  std::istringstream in(stat->substr(paren + 1));
  std::string state, skip;
  in >> state;
  if (state == "Z" || state == "X") return 0;
  for (int i = 4; i < 22; ++i)
    in >> skip;
  std::uint64_t ticks = 0;
  in >> ticks;
  return ticks;
}

bool alive(int pid, std::uint64_t started) { return pid > 0 && started != 0 && start_time(pid) == started; }

void signal_pidfd(const unique_fd& pidfd, int signo) {
  if (pidfd) ::syscall(SYS_pidfd_send_signal, pidfd.get(), signo, nullptr, 0);
}

bool wait_pidfd(const unique_fd& pidfd, std::chrono::milliseconds timeout) {
  if (!pidfd) return true;
  const auto deadline = clock::now() + timeout;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now()).count();
    pollfd p{pidfd.get(), POLLIN, 0};
    const int n = ::poll(&p, 1, timeout.count() < 0 ? -1 : static_cast<int>(std::max<long long>(left, 0)));
    if (n > 0) return true;
    if (n == 0) return false;
  }
}

std::vector<int> process_tree(int pid) {
  std::vector<int> out{pid};
  for (std::size_t i = 0; i < out.size() && out.size() < 65536; ++i) {
    const auto tasks = "/proc/" + std::to_string(out[i]) + "/task";
    for (const auto& task : list_directory(tasks)) {
      std::istringstream in(read_file(tasks + "/" + task + "/children").value_or(""));
      for (int c = 0; in >> c;)
        out.push_back(c);
    }
  }
  return out;
}

std::string boot_id() {
  auto id = read_file("/proc/sys/kernel/random/boot_id").value_or("");
  while (!id.empty() && id.back() == '\n')
    id.pop_back();
  return id;
}

} // namespace troupe::runtime::linux_host
