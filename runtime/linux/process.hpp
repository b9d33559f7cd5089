// process: child processes without fork: posix_spawn with exactly the descriptors asked for.
// Owner:  any thread; no state. Cost does not grow with the size of our process (vfork underneath).
// Units:  timeouts in chrono.
// Errors: 500 naming the program and the reason; 403 without privilege.
// Source: posix_spawn(3), pidfd_open(2).
#pragma once

#include "runtime/linux/files.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace troupe::runtime::linux_host {

struct spawn_request {
  std::vector<std::string> argv; // argv[0] is a path
  std::vector<std::string> env;
  std::string cwd;
  /// Descriptors of the child: index is its number there, value ours; -1 is /dev/null. Everything else is closed.
  std::vector<int> descriptors = {-1, -1, -1};
  bool new_session = true;
  /// Path of a terminal to open as standard streams and controlling terminal; needs new_session.
  std::string terminal;
};

struct child {
  int pid = -1;
  unique_fd pidfd;
};

/// Minimal environment for conmon, crun and skopeo.
std::vector<std::string> base_environment();

result<child> spawn(const spawn_request& request);
/// Reaps a child; 128+signal when it was killed.
int wait_child(int pid);

struct finished {
  int exit_code = 0;
  bool timed_out = false;
  std::string output; // standard output and error, cut at output_bytes_max
};
/// Runs to the end (or kills it at the timeout) and collects what it printed. `request.descriptors` 1 and 2 are set
/// here.
result<finished> run(spawn_request request, std::chrono::milliseconds timeout, std::size_t output_bytes_max);

struct pipe_pair {
  unique_fd read, write;
};
result<pipe_pair> make_pipe();

unique_fd open_pidfd(int pid);
/// Start time of a process in clock ticks since boot, to tell a pid from its later reuse; 0 when it is gone.
std::uint64_t start_time(int pid);
/// True when the process exists, is no zombie, and started then.
bool alive(int pid, std::uint64_t started);
void signal_pidfd(const unique_fd& pidfd, int signo);
/// Waits until the process ends; false at the timeout. A negative timeout waits for ever.
bool wait_pidfd(const unique_fd& pidfd, std::chrono::milliseconds timeout);
/// The process and all its descendants, parents first.
std::vector<int> process_tree(int pid);
std::string boot_id();

} // namespace troupe::runtime::linux_host
