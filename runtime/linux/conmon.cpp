// conmon: starting a container's supervisor and talking to it afterwards.
#include "runtime/linux/conmon.hpp"

#include "runtime/limits.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <thread>

namespace troupe::runtime::linux_host {
namespace {

constexpr int sync_fd = 3, start_fd = 4;
constexpr auto create_timeout = std::chrono::seconds(120);

std::vector<std::string> conmon_arguments(const host& h, const conmon_request& r) {
  const auto runtime = runtime_command(h, r.runtime_root);
  std::vector<std::string> out = {
      h.conmon, "--api-version", "1",  "--sync",  "--full-attach", "--no-sync-log", "-c", r.id, "-u", r.id,
      "-n",     r.name,          "-r", runtime[0]};
  for (std::size_t i = 1; i < runtime.size(); ++i) {
    out.push_back("--runtime-arg");
    out.push_back(runtime[i]);
  }
  for (const auto& [option, value] : {std::pair<std::string, std::string>{"-b", r.bundle},
                                      {"--persist-dir", r.bundle},
                                      {"-p", r.bundle + "/pidfile"},
                                      {"-l", "k8s-file:" + r.log_path},
                                      {"--log-level", "error"},
                                      {"--exit-dir", r.exit_dir}}) {
    out.push_back(option);
    out.push_back(value);
  }
  if (r.terminal) out.push_back("-t");
  if (r.open_stdin) out.push_back("-i");
  if (r.open_stdin && !r.stdin_once) out.push_back("--leave-stdin-open");
  return out;
}

/// The first line from the sync pipe, or nothing at its end or at the timeout.
std::string read_line(int fd, std::chrono::milliseconds timeout) {
  std::string out;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (out.find('\n') == std::string::npos && out.size() < 65536) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd p{fd, POLLIN, 0};
    const int n = ::poll(&p, 1, static_cast<int>(std::max<long long>(left.count(), 0)));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    char buffer[4096];
    const auto got = ::read(fd, buffer, sizeof buffer);
    if (got <= 0) break;
    out.append(buffer, static_cast<std::size_t>(got));
  }
  return out;
}

/// Pid of the container, or what the runtime said; `{"data": 123}` or `{"data": -1, "message": "…"}`.
result<int> parse_answer(const std::string& line) {
  json::error_code ec;
  const auto v = json::parse(line.substr(0, line.find('\n')), ec);
  const auto pid = ec ? -1 : jq::num(v, {"data"}, -1);
  if (pid > 0) return static_cast<int>(pid);
  std::string message = ec ? line : std::string(jq::str(v, {"message"}));
  while (!message.empty() && (message.back() == '\n' || message.back() == ' '))
    message.pop_back();
  if (message.size() > limits::runtime_error_bytes_max) message.resize(limits::runtime_error_bytes_max);
  return failure(message.empty() ? "conmon ended without creating the container" : message);
}

result<void> control(const std::string& bundle, const std::string& line) {
  unique_fd fd(::open((bundle + "/ctl").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd || ::write(fd.get(), line.data(), line.size()) < 0)
    return system_error("reach conmon through " + bundle + "/ctl", errno);
  return {};
}

bool write_fully(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const auto n = ::write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

/// Carries packets of the attach socket (first byte: stream) to pipes, and our input pipe to the socket.
void carry(unique_fd socket, unique_fd in, unique_fd out, unique_fd err) {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr); // SIGPIPE becomes EPIPE
  char buffer[32768];
  bool open = true;
  while (open) {
    // A closed reader shows as POLLERR on the writing end.
    pollfd fds[3] = {{socket.get(), POLLIN, 0}, {in.get(), POLLIN, 0}, {out.get(), 0, 0}};
    if (::poll(fds, 3, -1) < 0 && errno != EINTR) return;
    if ((fds[2].revents & POLLERR) != 0) return;
    if (fds[0].revents != 0) {
      const auto n = ::recv(socket.get(), buffer, sizeof buffer, 0);
      const int target = n > 0 && buffer[0] == 3 ? err.get() : out.get();
      open = n > 0 && (target < 0 || write_fully(target, buffer + 1, static_cast<std::size_t>(n - 1)));
    }
    if (fds[1].revents != 0) {
      const auto n = ::read(in.get(), buffer, 8192); // conmon's own buffer is larger than this
      if (n > 0) {
        open = open && ::send(socket.get(), buffer, static_cast<std::size_t>(n), MSG_NOSIGNAL) > 0;
      } else {
        ::shutdown(socket.get(), SHUT_WR);
        in.reset();
      }
    }
  }
}

} // namespace

std::vector<std::string> runtime_command(const host& h, const std::string& runtime_root) {
  auto out = h.prefix;
  out.push_back(h.runtime);
  out.push_back("--root");
  out.push_back(runtime_root);
  return out;
}

result<conmon_started> start_conmon(const host& h, const conmon_request& r) {
  auto sync = make_pipe(), gate = make_pipe();
  if (!sync || !gate) return (!sync ? sync : gate).error();
  spawn_request request;
  request.argv = conmon_arguments(h, r);
  request.env = base_environment();
  request.env.push_back("_OCI_SYNCPIPE=" + std::to_string(sync_fd));
  request.env.push_back("_OCI_STARTPIPE=" + std::to_string(start_fd));
  request.cwd = r.bundle; // conmon writes its `oom` mark into its working directory
  request.descriptors = {-1, -1, -1, sync->write.get(), gate->read.get()};
  auto conmon = spawn(request);
  if (!conmon) return conmon.error();
  sync->write.reset();
  gate->read.reset();
  // Before the gate opens conmon has no children, so all of them are tracked with it. Elsewhere than in a service
  // nothing kills by group, and the move would cost more than all the rest.
  if (h.in_service) track_process(h.cgroups, r.cgroup, conmon->pid);
  // Known on disk before the container can exist, for whoever clears up after a crash of ours. With --sync conmon
  // does not write it itself.
  (void)write_atomic(r.bundle + "/conmon.pid", std::to_string(conmon->pid));
  gate->write.reset();

  auto pid = parse_answer(read_line(sync->read.get(), create_timeout));
  if (!pid) {
    if (!wait_pidfd(conmon->pidfd, std::chrono::seconds(1)))
      for (const int p : process_tree(conmon->pid))
        ::kill(p, SIGKILL);
    wait_child(conmon->pid);
    return pid.error();
  }
  return conmon_started{*pid, std::move(*conmon)};
}

result<void> conmon_reopen_log(const std::string& bundle) { return control(bundle, "2 0 0\n"); }

result<void> conmon_resize(const std::string& bundle, std::uint16_t width, std::uint16_t height) {
  // conmon refuses more than 1000 either way.
  return control(bundle, "1 " + std::to_string(std::min<int>(height, 1000)) + " " +
                             std::to_string(std::min<int>(width, 1000)) + "\n");
}

result<exec_process> conmon_attach(const std::string& bundle, bool terminal) {
  unique_fd dir(::open(bundle.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  unique_fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!dir || !socket) return system_error("open the attach socket", errno);
  // A bundle's path may be longer than a socket address; this one never is.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto path = "/proc/self/fd/" + std::to_string(dir.get()) + "/attach";
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return system_error("attach to the container", errno);
  auto in = make_pipe(), out = make_pipe();
  if (!in || !out) return (!in ? in : out).error();
  pipe_pair err;
  if (!terminal) {
    auto made = make_pipe();
    if (!made) return made.error();
    err = std::move(*made);
  }
  exec_process p;
  p.terminal = terminal;
  p.in = in->write.release();
  p.out = out->read.release();
  p.err = err.read.release();
  try {
    std::thread(carry, std::move(socket), std::move(in->read), std::move(out->write), std::move(err.write)).detach();
  } catch (const std::system_error& e) {
    for (const int fd : {p.in, p.out, p.err})
      if (fd >= 0) ::close(fd);
    return failure(std::string("cannot start a thread: ") + e.what());
  }
  return p;
}

} // namespace troupe::runtime::linux_host
