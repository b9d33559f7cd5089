// conmon: starting a container's supervisor and talking to it afterwards.
// Owner:  linux_engine; no state.
// Units:  -
// Errors: what the OCI runtime said, cut to limits::runtime_error_bytes_max.
// Source: conmon 2.1 manual page and behaviour: sync pipe, start pipe, `ctl` fifo and `attach` socket in the bundle.
#pragma once

#include "runtime/linux/host.hpp"
#include "runtime/linux/process.hpp"

namespace troupe::runtime::linux_host {

struct conmon_request {
  std::string id, name, bundle, log_path, exit_dir, runtime_root;
  std::string cgroup; // group in which conmon itself is tracked
  bool terminal = false, open_stdin = false, stdin_once = false;
};

struct conmon_started {
  int pid = 0; // of the container's first process
  child conmon;
};

/// Creates the container (not yet started) under a new conmon, which stays our child.
result<conmon_started> start_conmon(const host& h, const conmon_request& r);

/// argv of the OCI runtime with its global options, to which a verb is appended.
std::vector<std::string> runtime_command(const host& h, const std::string& runtime_root);

result<void> conmon_reopen_log(const std::string& bundle);
result<void> conmon_resize(const std::string& bundle, std::uint16_t width, std::uint16_t height);
/// Pipes to a running container's streams; a thread carries the bytes until both sides are closed.
result<exec_process> conmon_attach(const std::string& bundle, bool terminal);

} // namespace troupe::runtime::linux_host
