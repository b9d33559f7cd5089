// exit_watcher: one thread that learns of container exits (files in the exit directory) and of dead conmons (pidfds).
// Owner:  linux_engine; callbacks run on the watcher's thread.
// Units:  -
// Errors: start() answers when the kernel refuses inotify or epoll.
// Source: inotify(7), epoll(7), pidfd_open(2); nothing is polled.
#pragma once

#include "runtime/linux/files.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace troupe::runtime::linux_host {

class exit_watcher {
public:
  ~exit_watcher();
  /// `on_file(name)`: a file of that name is complete in `dir`. `on_gone(id)`: the watched process ended.
  result<void> start(const std::string& dir, std::function<void(const std::string&)> on_file,
                     std::function<void(const std::string&)> on_gone);
  /// Watches a process under a name; a child of ours is reaped when it ends.
  void watch(const std::string& id, const unique_fd& pidfd);
  void stop();

private:
  void loop();
  void read_directory_events();
  void process_gone(int fd);

  unique_fd epoll_, inotify_, wake_;
  std::function<void(const std::string&)> on_file_, on_gone_;
  std::mutex lock_;
  std::map<int, std::pair<std::string, unique_fd>> watched_; // by descriptor
  std::thread thread_;
};

} // namespace troupe::runtime::linux_host
