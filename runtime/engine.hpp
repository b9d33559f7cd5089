// engine: the container runtime as the kubelet sees it: sandboxes and containers by id.
// Owner:  implementations are thread-safe; calls block for milliseconds and are made from worker threads only.
// Units:  memory in bytes, cpu in CFS shares/quota (µs), timeouts in chrono.
// Errors: status with a sentence that says what to do (missing privilege, kernel feature, full disk).
// Source: Kubernetes CRI, reduced to what the kubelet needs; ours: no pause container.
#pragma once

#include "api/status.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe::runtime {

struct mount_spec {
  std::string source;      // host path; "tmpfs" for memory of this container alone
  std::string destination; // in the container
  bool read_only = false;
  std::string propagation; // "", "rslave", "rshared"
  std::int64_t tmpfs_bytes_max = 0;
};

struct resource_limits {
  std::int64_t cpu_shares = 2;   // cgroup v1 shares; converted to weight on v2
  std::int64_t cpu_quota_us = 0; // per cpu_period_us; 0: unlimited
  std::int64_t cpu_period_us = 100000;
  std::int64_t memory_bytes_max = 0; // 0: unlimited
  std::int64_t pids_max = 0;
  int oom_score_adj = 0;
};

struct security {
  bool privileged = false;
  bool read_only_rootfs = false;
  bool no_new_privileges = false;
  std::optional<std::int64_t> uid, gid;
  std::vector<std::int64_t> supplemental_groups;
  std::vector<std::string> add_capabilities, drop_capabilities; // without CAP_ prefix; "ALL"
  std::string seccomp; // "" or "Unconfined": none; "RuntimeDefault": the engine's own deny list
};

/// What containers of one pod share: network, IPC and UTS namespaces pinned as files, and a parent cgroup.
struct sandbox_spec {
  std::string id; // pod uid
  std::string ns, name;
  std::string hostname;
  bool host_network = false, host_ipc = false, host_pid = false;
  std::map<std::string, std::string> sysctls;
  resource_limits limits; // of the pod cgroup; zero fields: none
  std::string qos;        // Guaranteed, Burstable, BestEffort
};
struct sandbox_info {
  std::string id, ns, name;
  std::string netns_path; // empty with host network
  std::string cgroup_parent;
};

struct container_spec {
  std::string id; // unique: <pod uid>-<container>-<attempt> or random; chosen by the kubelet
  std::string sandbox_id;
  std::string name;              // container name in the pod
  int attempt = 0;               // restart count
  std::string image;             // resolved image id from image_store
  std::vector<std::string> args; // full argv
  std::vector<std::string> env;  // K=V
  std::string cwd;
  std::vector<mount_spec> mounts;
  security sec;
  resource_limits limits;
  bool terminal = false, open_stdin = false;
  bool stdin_once = false;                                       // stdin closes when the first attached client leaves
  std::string log_path;                                          // CRI log format file, directory exists
  std::string termination_message_path = "/dev/termination-log"; // in the container, bind-mounted from a file we make
  std::map<std::string, std::string> labels;                     // kept on disk with the container, for adoption
};

enum class container_phase { created, running, exited, unknown };
struct container_info {
  std::string id, sandbox_id, name, image;
  int attempt = 0;
  container_phase phase = container_phase::unknown;
  int pid = 0;
  int exit_code = 0;
  bool oom_killed = false;
  std::chrono::system_clock::time_point created_at, started_at, finished_at;
  std::string log_path;
  std::string termination_message; // after exit, at most 4096 bytes
  std::map<std::string, std::string> labels;
};

struct exec_result {
  int exit_code = 0;
  bool timed_out = false;
  std::string output; // at most limits::exec_output_bytes_max
};

/// A running exec or attach with its pipes (or one pty). The caller owns the descriptors and closes them; closing
/// `in` is the end of standard input. `in` and `out` are always two descriptors, also when both are one pty.
struct exec_process {
  int in = -1, out = -1, err = -1; // with a terminal: `in` and `out` are the pty master, err is -1
  int pid = -1;                    // of the runtime's exec; -1 for an attach
  bool terminal = false;
  std::string container; // the container it runs in
};

/// Usage of a container or sandbox.
struct usage {
  std::uint64_t cpu_ns = 0;
  std::uint64_t memory_bytes = 0; // working set
};

class engine {
public:
  virtual ~engine() = default;

  virtual result<sandbox_info> create_sandbox(const sandbox_spec&) = 0;
  virtual result<void> remove_sandbox(const std::string& id) = 0; // idempotent; removes its containers too
  virtual std::vector<sandbox_info> sandboxes() = 0;

  virtual result<void> create(const container_spec&) = 0;
  virtual result<void> start(const std::string& id) = 0;
  virtual result<void> signal(const std::string& id, int signo) = 0;
  virtual result<void> remove(const std::string& id) = 0; // idempotent; kills if still running
  virtual std::vector<container_info> containers() = 0;   // all that exist on disk, also after our own restart
  virtual std::optional<container_info> inspect(const std::string& id) = 0;

  virtual result<exec_result> exec_sync(const std::string& id, const std::vector<std::string>& argv,
                                        std::chrono::milliseconds timeout) = 0;
  virtual result<exec_process> exec_start(const std::string& id, const std::vector<std::string>& argv, bool in,
                                          bool terminal) = 0;
  /// Waits for an exec to end; exit code (128+signo when killed). Once per exec_start; an attach answers at once.
  virtual result<int> exec_wait(const exec_process&) = 0;
  /// Kills the process started by exec and its children; exec_wait must still be called. No effect on an attach.
  virtual result<void> exec_kill(const exec_process&) = 0;
  virtual result<void> exec_resize(const exec_process&, std::uint16_t width, std::uint16_t height) = 0;
  virtual result<exec_process> attach(const std::string& id) = 0;

  virtual result<usage> stats(const std::string& container_id) = 0;
  /// Makes the log writer reopen log_path, after the kubelet has renamed the file.
  virtual result<void> reopen_log(const std::string& id) = 0;

  /// Called once per exit, from a thread of the engine, within milliseconds of the exit (inotify on the exit
  /// directory, no polling). Set before the first create.
  virtual void on_exit(std::function<void(const container_info&)> fn) = 0;
  /// What this host offers and lacks, one sentence each, for the node's conditions and `troupe up`'s errors.
  virtual result<void> check_host() = 0;
  virtual std::string version() const = 0; // e.g. "crun 1.8.1"
};

struct image_config {
  std::vector<std::string> entrypoint, cmd, env;
  std::string working_dir, user, stop_signal;
};
struct image_info {
  std::string id;                      // sha256:… of the config
  std::vector<std::string> references; // normalised: docker.io/library/busybox:latest
  std::vector<std::string> digests;
  std::uint64_t bytes = 0;
  image_config config;
  std::vector<std::string> layers; // diff ids, lowest first
};

class image_store {
public:
  virtual ~image_store() = default;
  /// OCI or docker archive (tar, also gzip or zstd), or a directory with an OCI layout. `reference` overrides the
  /// name in the archive when not empty. Re-importing the same image only adds names.
  virtual result<std::vector<image_info>> import(const std::string& file, const std::string& reference) = 0;
  /// Through skopeo. `reference` is an image name (docker.io assumed) or carries a transport that skopeo knows
  /// ("oci:DIR:TAG", "docker-archive:FILE"). `auth_json` is the text of a registry auth file, or empty.
  virtual result<image_info> pull(const std::string& reference, const std::string& auth_json) = 0;
  virtual std::optional<image_info> find(const std::string& reference) = 0; // reference, digest or id
  virtual std::vector<image_info> list() = 0;
  /// Removes a name, or by id or digest the whole image; layers go with the last image that has them. 409 while a
  /// container uses the image.
  virtual result<void> remove(const std::string& reference) = 0;
  /// Host directories of the image's layers, topmost first, as overlayfs wants them; relative to the store's root.
  virtual result<std::vector<std::string>> layer_paths(const std::string& image_id) = 0;
};

/// `docker.io/library/busybox:latest` from `busybox`; error when malformed.
result<std::string> normalise_reference(std::string_view reference);

/// Directories and names of one node: everything made on the host carries the cluster's id.
struct engine_paths {
  std::string root;    // DIR/NODE/containers: bundles, logs, exit files, layers
  std::string run;     // /run/troupe/<cluster>/<node>: namespaces, sockets
  std::string cgroup;  // troupe-<cluster>/<node>
  std::string runtime; // path of the OCI runtime; empty: crun, else runc
};

/// Opens (and cleans up after a crash) the store under root; same root as the engine's. Several processes may open
/// one root: changes are serialised by file locks and seen by the others.
std::shared_ptr<image_store> make_image_store(const std::string& root);
/// crun under conmon; runc where crun cannot run.
std::shared_ptr<engine> make_linux_engine(const engine_paths&, std::shared_ptr<image_store>);
/// No containers: states advance by themselves; for hollow nodes and tests without privileges.
/// `wall_clock` empty: the system clock.
std::shared_ptr<engine> make_hollow_engine(std::function<std::chrono::system_clock::time_point()> wall_clock = {});
/// Removes every container, mount, namespace and cgroup of these paths; used by `down --purge`.
result<void> purge(const engine_paths&);

} // namespace troupe::runtime
