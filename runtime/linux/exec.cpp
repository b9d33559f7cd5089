// linux_engine, exec and attach: more processes in a running container, and its own streams.
#include "runtime/limits.hpp"
#include "runtime/linux/conmon.hpp"
#include "runtime/linux/linux_engine.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

namespace troupe::runtime::linux_host {
namespace {

constexpr int spec_fd = 3;

struct pty {
  unique_fd master;
  std::string slave;
};

result<pty> open_pty() {
  pty out;
  out.master.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  char name[128];
  if (!out.master || ::grantpt(out.master.get()) != 0 || ::unlockpt(out.master.get()) != 0 ||
      ::ptsname_r(out.master.get(), name, sizeof name) != 0)
    return system_error("open a terminal", errno);
  out.slave = name;
  return out;
}

} // namespace

result<std::vector<std::string>> linux_engine::exec_command(const std::string& id) const {
  auto c = require_running(id);
  if (!c) return c.error();
  auto argv = runtime_command(host_, runtime_root());
  for (const auto& a : {std::string("exec"), std::string("--process"), "/proc/self/fd/" + std::to_string(spec_fd), id})
    argv.push_back(a);
  return argv;
}

/// The process to run, in memory: the runtime reads it from a descriptor, so that nothing is left on disk.
result<unique_fd> linux_engine::exec_spec(const std::string& id, const std::vector<std::string>& argv,
                                          bool terminal) const {
  if (argv.empty() || argv[0].empty()) return errors::bad_request("exec: no command given");
  json::error_code ec;
  const auto config = json::parse(read_file(bundle(id) + "/config.json", 16 << 20).value_or(""), ec);
  if (ec) return failure("the configuration of container \"" + id + "\" cannot be read");
  const auto text = json::serialize(plan_exec(config, argv, terminal));
  unique_fd fd(::memfd_create("process.json", MFD_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::lseek(fd.get(), 0, SEEK_SET) != 0)
    return system_error("write the process to run", errno);
  return fd;
}

result<exec_result> linux_engine::exec_sync(const std::string& id, const std::vector<std::string>& argv,
                                            std::chrono::milliseconds timeout) {
  auto command = exec_command(id);
  if (!command) return command.error();
  auto spec = exec_spec(id, argv, false);
  if (!spec) return spec.error();
  spawn_request request{.argv = std::move(*command), .env = base_environment()};
  request.descriptors = {-1, -1, -1, spec->get()};
  const auto limit = timeout.count() > 0 ? timeout : std::chrono::milliseconds(std::chrono::hours(24));
  auto done = run(std::move(request), limit, limits::exec_output_bytes_max);
  if (!done) return done.error();
  return exec_result{done->exit_code, done->timed_out, std::move(done->output)};
}

result<exec_process> linux_engine::exec_start(const std::string& id, const std::vector<std::string>& argv, bool in,
                                              bool terminal) {
  auto command = exec_command(id);
  if (!command) return command.error();
  auto spec = exec_spec(id, argv, terminal);
  if (!spec) return spec.error();
  spawn_request request{.argv = std::move(*command), .env = base_environment()};
  exec_process out;
  out.terminal = terminal;
  out.container = id;
  if (terminal) {
    // The runtime makes the container's own terminal and copies between that and ours.
    auto tty = open_pty();
    if (!tty) return tty.error();
    request.terminal = tty->slave;
    request.descriptors = {-1, -1, -1, spec->get()};
    unique_fd second(::fcntl(tty->master.get(), F_DUPFD_CLOEXEC, 3));
    if (!second) return system_error("copy a descriptor", errno);
    auto process = spawn(request);
    if (!process) return process.error();
    out.pid = process->pid;
    out.in = tty->master.release();
    out.out = second.release();
    return out;
  }
  auto stdin_pipe = make_pipe(), stdout_pipe = make_pipe(), stderr_pipe = make_pipe();
  for (auto* p : {&stdin_pipe, &stdout_pipe, &stderr_pipe})
    if (!*p) return p->error();
  request.descriptors = {in ? stdin_pipe->read.get() : -1, stdout_pipe->write.get(), stderr_pipe->write.get(),
                         spec->get()};
  auto process = spawn(request);
  if (!process) return process.error();
  out.pid = process->pid;
  out.in = in ? stdin_pipe->write.release() : -1;
  out.out = stdout_pipe->read.release();
  out.err = stderr_pipe->read.release();
  return out;
}

result<int> linux_engine::exec_wait(const exec_process& p) { return p.pid > 0 ? wait_child(p.pid) : 0; }

result<void> linux_engine::exec_kill(const exec_process& p) {
  if (p.pid <= 0) return {};
  auto tree = process_tree(p.pid);
  // The runtime itself stays, to report the exit; unless it has not started anything yet.
  for (std::size_t i = tree.size() > 1 ? 1 : 0; i < tree.size(); ++i)
    ::kill(tree[i], SIGKILL);
  return {};
}

result<void> linux_engine::exec_resize(const exec_process& p, std::uint16_t width, std::uint16_t height) {
  if (!p.terminal) return errors::bad_request("this process has no terminal");
  if (p.pid <= 0) return conmon_resize(bundle(p.container), width, height);
  winsize size{};
  size.ws_col = width;
  size.ws_row = height;
  if (::ioctl(p.in, TIOCSWINSZ, &size) != 0) return system_error("resize the terminal", errno);
  return {};
}

result<exec_process> linux_engine::attach(const std::string& id) {
  auto c = require_running(id);
  if (!c) return c.error();
  auto out = conmon_attach(bundle(id), (*c)->record.terminal);
  if (out) out->container = id;
  return out;
}

} // namespace troupe::runtime::linux_host
