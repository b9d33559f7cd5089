// linux_engine: the container runtime of a real node: conmon and crun (or runc), overlayfs, pinned namespaces, cgroups.
// Owner:  any thread; calls for different containers run side by side, those for one container one after the other.
// Units:  as engine.hpp.
// Errors: as engine.hpp.
// Source: OCI runtime spec; conmon's exit files are the truth about exits, so nothing is lost while we are down.
//
// On disk, below `root`: containers/ID (bundle: config.json, state.json, rootfs, upper, work, termination-log and
// conmon's files), exits/ID (exit code, written by conmon). Below `run`: sandboxes/ID (namespaces, shm, sandbox.json),
// oci (state of crun). A container whose state.json says `creating` was cut short by a crash and is removed at open;
// one of an earlier boot is reported as exited.
#pragma once

#include "runtime/engine.hpp"
#include "runtime/linux/container_record.hpp"
#include "runtime/linux/exit_watcher.hpp"
#include "runtime/linux/host.hpp"

#include <condition_variable>
#include <mutex>

namespace troupe::runtime::linux_host {

struct container {
  std::mutex operation; // create, start, remove: one at a time; taken before `lock`
  std::mutex lock;      // guards what follows
  std::condition_variable changed;
  container_record record;
  container_phase phase = container_phase::unknown;
  unique_fd pidfd, conmon_pidfd;
  int exit_code = 0;
  bool oom_killed = false;
  std::int64_t finished_ns = 0;
  std::string termination_message;
};

class linux_engine final : public engine {
public:
  linux_engine(engine_paths paths, std::shared_ptr<image_store> images);
  ~linux_engine() override;

  result<sandbox_info> create_sandbox(const sandbox_spec& spec) override;
  result<void> remove_sandbox(const std::string& id) override;
  std::vector<sandbox_info> sandboxes() override;

  result<void> create(const container_spec& spec) override;
  result<void> start(const std::string& id) override;
  result<void> signal(const std::string& id, int signo) override;
  result<void> remove(const std::string& id) override;
  std::vector<container_info> containers() override;
  std::optional<container_info> inspect(const std::string& id) override;

  result<exec_result> exec_sync(const std::string& id, const std::vector<std::string>& argv,
                                std::chrono::milliseconds timeout) override;
  result<exec_process> exec_start(const std::string& id, const std::vector<std::string>& argv, bool in,
                                  bool terminal) override;
  result<int> exec_wait(const exec_process& p) override;
  result<void> exec_kill(const exec_process& p) override;
  result<void> exec_resize(const exec_process& p, std::uint16_t width, std::uint16_t height) override;
  result<exec_process> attach(const std::string& id) override;

  result<usage> stats(const std::string& container_id) override;
  result<void> reopen_log(const std::string& id) override;
  void on_exit(std::function<void(const container_info&)> fn) override;
  result<void> check_host() override;
  std::string version() const override { return host_.runtime_version; }

private:
  using container_ptr = std::shared_ptr<container>;

  std::string bundle(const std::string& id) const { return paths_.root + "/containers/" + id; }
  std::string exit_file(const std::string& id) const { return paths_.root + "/exits/" + id; }
  std::string sandbox_dir(const std::string& id) const { return paths_.run + "/sandboxes/" + id; }
  std::string runtime_root() const { return paths_.run + "/oci"; }

  // adoption.cpp
  void adopt();
  void adopt_container(const std::string& id);
  bool waits_for_start(const std::string& id) const;

  // linux_engine.cpp
  container_ptr find(const std::string& id) const;
  result<container_ptr> require(const std::string& id) const;
  result<container_ptr> require_running(const std::string& id) const;
  std::optional<sandbox_record> find_sandbox(const std::string& id) const;
  result<void> prepare_bundle(const container_spec& spec, const sandbox_record& sandbox,
                              const container_record& record);
  result<void> create_under_conmon(const container_spec& spec, container& c);
  /// Lets a created container run its program.
  result<void> release(const std::string& id);
  void save(const container_record& record) const;
  /// Takes note of an exit if its file is there; calls on_exit once.
  void settle_exit(const std::string& id);
  void conmon_gone(const std::string& id);
  container_info describe(container& c) const;
  void erase_from_host(const container_record& record);
  /// Stops whatever still runs of a container and waits until its exit is known.
  result<void> stop_now(container& c);

  // exec.cpp
  result<std::vector<std::string>> exec_command(const std::string& id) const;
  result<unique_fd> exec_spec(const std::string& id, const std::vector<std::string>& argv, bool terminal) const;

  engine_paths paths_;
  std::shared_ptr<image_store> images_;
  host host_;
  status broken_; // why nothing works, code 0 when all is well
  mutable std::mutex lock_;
  std::map<std::string, container_ptr> containers_;
  std::map<std::string, sandbox_record> sandboxes_;
  std::mutex sandbox_operations_[16]; // by hash of the sandbox id
  std::function<void(const container_info&)> on_exit_;
  exit_watcher watcher_;
};

} // namespace troupe::runtime::linux_host
