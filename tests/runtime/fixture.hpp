// fixture: an engine and an image store in directories of their own, with the demo image in it.
// Owner:  one test case each; several may run at once on one machine.
// Units:  -
// Errors: fails the test case.
// Source: ours.
#pragma once

#include "runtime/engine.hpp"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace troupe::tests {

/// Empty when containers can run here; else why not, printed by the test that skips.
std::string why_not();

/// The demo image as an archive, built once per program.
const std::string& demo_archive();

class node {
public:
  node();
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  /// Drops the engine and makes a new one on the same directories, as a restart of the process would.
  void restart();

  runtime::container_spec shell(const std::string& id, const std::string& script);
  /// Makes the sandbox "box" once.
  runtime::sandbox_info sandbox();
  void run(const runtime::container_spec& spec);
  /// Waits until the container's exit was reported; fails after ten seconds.
  runtime::container_info wait_exit(const std::string& id);
  bool exit_reported(const std::string& id);
  std::string log(const std::string& id);

  runtime::engine_paths paths;
  std::shared_ptr<runtime::image_store> images;
  std::shared_ptr<runtime::engine> engine;

private:
  void connect();
  std::string base_;
  std::mutex lock_;
  std::condition_variable changed_;
  std::vector<runtime::container_info> exits_;
};

/// Waits for an event that has no descriptor to wait on (a log line written by conmon); fails after five seconds.
bool eventually(const std::function<bool()>& condition);
std::string read_all(int fd);
double milliseconds(const std::function<void()>& fn);

} // namespace troupe::tests
