// linux_engine: life and death of containers; sandboxes, adoption and exec are in files beside this one.
#include "runtime/linux/linux_engine.hpp"

#include "runtime/limits.hpp"
#include "runtime/linux/conmon.hpp"
#include "runtime/linux/mounts.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>

namespace troupe::runtime::linux_host {
namespace {

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::chrono::system_clock::time_point time_of(std::int64_t ns) {
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::nanoseconds(ns)));
}

status no_container(const std::string& id) {
  status s = failure("container \"" + id + "\" does not exist");
  s.code = 404;
  s.reason = "NotFound";
  return s;
}

status conflict(std::string message) {
  status s = failure("");
  s.code = 409;
  s.reason = "Conflict";
  s.message = std::move(message);
  return s;
}

std::string first_line_of_termination(const std::string& path) {
  auto text = read_file(path, 16 << 20).value_or("");
  if (text.size() > limits::termination_message_bytes_max) text.resize(limits::termination_message_bytes_max);
  return text;
}

} // namespace

linux_engine::linux_engine(engine_paths paths, std::shared_ptr<image_store> images)
    : paths_(std::move(paths)), images_(std::move(images)) {
  // Writing to a conmon that has just gone must be an error, not the end of this process.
  struct sigaction old {};
  if (::sigaction(SIGPIPE, nullptr, &old) == 0 && old.sa_handler == SIG_DFL) ::signal(SIGPIPE, SIG_IGN);
  broken_.code = 0;
  for (const auto& dir : {paths_.root, paths_.root + "/containers", paths_.root + "/exits", paths_.run,
                          paths_.run + "/sandboxes", runtime_root()})
    if (auto made = make_directories(dir); !made && broken_.code == 0) broken_ = made.error();
  host_ = detect_host(paths_.root, paths_.runtime);
  auto watching = watcher_.start(
      paths_.root + "/exits", [this](const std::string& name) { settle_exit(name); },
      [this](const std::string& id) { conmon_gone(id); });
  if (!watching && broken_.code == 0) broken_ = watching.error();
  adopt();
}

linux_engine::~linux_engine() { watcher_.stop(); }

linux_engine::container_ptr linux_engine::find(const std::string& id) const {
  std::lock_guard guard(lock_);
  const auto it = containers_.find(id);
  return it == containers_.end() ? nullptr : it->second;
}

result<linux_engine::container_ptr> linux_engine::require(const std::string& id) const {
  if (auto c = find(id)) return c;
  return no_container(id);
}

result<linux_engine::container_ptr> linux_engine::require_running(const std::string& id) const {
  auto c = require(id);
  if (!c) return c;
  std::lock_guard guard((*c)->lock);
  if ((*c)->phase != container_phase::running)
    return conflict("container \"" + (*c)->record.name + "\" is not running");
  return c;
}

std::optional<sandbox_record> linux_engine::find_sandbox(const std::string& id) const {
  std::lock_guard guard(lock_);
  const auto it = sandboxes_.find(id);
  return it == sandboxes_.end() ? std::nullopt : std::optional(it->second);
}

void linux_engine::save(const container_record& record) const {
  (void)write_atomic(bundle(record.id) + "/state.json", encode(record));
}

result<void> linux_engine::prepare_bundle(const container_spec& spec, const sandbox_record& sandbox,
                                          const container_record& record) {
  const auto dir = bundle(spec.id), relative = "containers/" + spec.id;
  auto image = images_->find(spec.image);
  if (!image) return errors::bad_request("image \"" + spec.image + "\" is not on this node");
  auto layers = images_->layer_paths(image->id);
  if (!layers) return layers.error();
  for (const auto& [name, mode] :
       {std::pair<const char*, mode_t>{"", 0700}, {"/upper", 0755}, {"/work", 0700}, {"/rootfs", 0755}})
    if (::mkdir((dir + name).c_str(), mode) != 0 || ::chmod((dir + name).c_str(), mode) != 0)
      return system_error("make directory " + dir + name, errno);
  save(record);
  if (auto r = mount_overlay(paths_.root, *layers, relative + "/upper", relative + "/work", relative + "/rootfs"); !r)
    return r;

  const auto root = dir + "/rootfs";
  auto user =
      look_up_user(image->config.user, spec.sec, read_in_root(root, "etc/passwd", limits::account_file_bytes_max),
                   read_in_root(root, "etc/group", limits::account_file_bytes_max));
  if (!user) return user.error();
  const auto termination = dir + "/termination-log";
  if (auto r = write_atomic(termination, "", false, 0666); !r) return r;
  ::chmod(termination.c_str(), 0666);

  const auto pins = sandbox_dir(sandbox.info.id);
  plan_input in{.container = spec, .image = image->config, .user = std::move(*user), .host = host_.facts};
  in.rootfs = root;
  in.cgroup_path = record.cgroup;
  in.netns = sandbox.info.netns_path;
  in.ipcns = sandbox.host_ipc ? "" : pins + "/ipc";
  in.utsns = sandbox.host_network ? "" : pins + "/uts";
  in.host_pid = sandbox.host_pid;
  in.shm_path = sandbox.host_ipc ? "/dev/shm" : pins + "/shm";
  in.hostname = sandbox.hostname;
  in.hostname_path = pins + "/hostname";
  if (!spec.termination_message_path.empty()) in.termination_path = termination;
  if (spec.sec.privileged) in.devices = host_devices();
  auto config = plan_spec(in);
  if (!config) return config.error();
  return write_atomic(dir + "/config.json", json::serialize(*config));
}

result<void> linux_engine::create_under_conmon(const container_spec& spec, container& c) {
  conmon_request request;
  request.id = spec.id;
  request.name = spec.name.empty() ? spec.id : spec.name;
  request.bundle = bundle(spec.id);
  request.log_path = spec.log_path;
  request.exit_dir = paths_.root + "/exits";
  request.runtime_root = runtime_root();
  request.cgroup = "/" + paths_.cgroup + "/conmon";
  request.terminal = spec.terminal;
  request.open_stdin = spec.open_stdin;
  request.stdin_once = spec.stdin_once;
  auto started = start_conmon(host_, request);
  if (!started) return started.error();
  container_record record;
  {
    std::lock_guard guard(c.lock);
    c.record.pid = started->pid;
    c.record.pid_started = start_time(started->pid);
    c.record.conmon_pid = started->conmon.pid;
    c.record.conmon_started = start_time(started->conmon.pid);
    c.record.phase = record_phase::created;
    c.pidfd = open_pidfd(started->pid);
    c.conmon_pidfd = std::move(started->conmon.pidfd);
    c.phase = container_phase::created;
    record = c.record;
  }
  save(record);
  watcher_.watch(spec.id, c.conmon_pidfd);
  return {};
}

result<void> linux_engine::create(const container_spec& spec) {
  if (broken_.code != 0) return broken_;
  if (!safe_name(spec.id))
    return errors::bad_request("container id \"" + spec.id + "\" may hold letters, digits, '_', '.' and '-' only");
  if (host_.runtime.empty() || host_.conmon.empty()) return check_host();
  // There crun works in a view of the mounts from which nothing comes back.
  if (!host_.prefix.empty())
    for (const auto& m : spec.mounts)
      if (m.propagation == "rshared")
        return errors::bad_request("mount propagation Bidirectional of " + m.destination +
                                   " is not possible on this host: its cgroups are hybrid (boot it with cgroup v2)");
  const auto sandbox = find_sandbox(spec.sandbox_id);
  if (!sandbox) return errors::bad_request("sandbox \"" + spec.sandbox_id + "\" does not exist");
  auto c = std::make_shared<container>();
  c->record.id = spec.id;
  c->record.sandbox_id = spec.sandbox_id;
  c->record.name = spec.name;
  c->record.image = spec.image;
  c->record.log_path = spec.log_path;
  c->record.cgroup = sandbox->info.cgroup_parent + "/" + spec.id;
  c->record.boot = host_.boot;
  c->record.attempt = spec.attempt;
  c->record.terminal = spec.terminal;
  c->record.created_ns = now_ns();
  c->record.labels = spec.labels;
  std::lock_guard operation(c->operation);
  {
    std::lock_guard guard(lock_);
    if (!containers_.emplace(spec.id, c).second) return conflict("container \"" + spec.id + "\" exists already");
  }
  auto done = prepare_bundle(spec, *sandbox, c->record);
  if (done) done = create_under_conmon(spec, *c);
  if (!done) {
    erase_from_host(c->record);
    std::lock_guard guard(lock_);
    containers_.erase(spec.id);
    return done;
  }
  settle_exit(spec.id); // it may have ended before it had a phase
  return {};
}

result<void> linux_engine::release(const std::string& id) {
  const auto fifo = runtime_root() + "/" + id + "/exec.fifo";
  if (host_.is_crun()) {
    // All that `crun start` does for a container without hooks, without its 10 ms: remove the FIFO that marks the
    // container as not started, and wake the init process that reads from it.
    unique_fd fd(::open(fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (fd && ::unlink(fifo.c_str()) == 0 && ::write(fd.get(), "", 1) == 1) return {};
  }
  auto argv = runtime_command(host_, runtime_root());
  argv.push_back("start");
  argv.push_back(id);
  auto done = run({.argv = std::move(argv), .env = base_environment()}, std::chrono::seconds(60),
                  limits::runtime_error_bytes_max);
  if (!done) return done.error();
  return done->exit_code == 0 ? result<void>() : result<void>(failure(done->output));
}

result<void> linux_engine::start(const std::string& id) {
  auto c = require(id);
  if (!c) return c.error();
  std::lock_guard operation((*c)->operation);
  container_record record;
  {
    std::lock_guard guard((*c)->lock);
    if ((*c)->phase == container_phase::running) return {};
    if ((*c)->phase != container_phase::created)
      return conflict("container \"" + (*c)->record.name + "\" cannot be started: it has ended");
    // Written down before it happens: should we die in between, the pending start pipe tells that it did not.
    (*c)->record.phase = record_phase::started;
    (*c)->record.started_ns = now_ns();
    (*c)->phase = container_phase::running;
    record = (*c)->record;
  }
  save(record);
  auto done = release(id);
  if (done) return {};
  {
    std::lock_guard guard((*c)->lock);
    if ((*c)->phase == container_phase::running) (*c)->phase = container_phase::created;
  }
  settle_exit(id);
  return failure("cannot start container \"" + record.name + "\": " + done.error().message);
}

result<void> linux_engine::signal(const std::string& id, int signo) {
  auto c = require(id);
  if (!c) return c.error();
  std::lock_guard guard((*c)->lock);
  if ((*c)->phase == container_phase::running || (*c)->phase == container_phase::created)
    signal_pidfd((*c)->pidfd, signo);
  return {};
}

void linux_engine::settle_exit(const std::string& id) {
  const auto c = find(id);
  if (!c) return;
  const auto path = exit_file(id);
  const auto text = read_file(path, 64);
  struct stat st {};
  if (!text || ::stat(path.c_str(), &st) != 0) return;
  const auto message = first_line_of_termination(bundle(id) + "/termination-log");
  const bool oom_mark = exists(bundle(id) + "/oom") || oom_kills(host_.cgroups, c->record.cgroup) > 0;
  {
    std::lock_guard guard(c->lock);
    if (c->phase != container_phase::running && c->phase != container_phase::created) return;
    c->exit_code = std::atoi(text->c_str());
    // File times tick a few milliseconds behind the clock; a short life must not end before it began.
    c->finished_ns =
        std::max<std::int64_t>(st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec, c->record.started_ns);
    c->oom_killed = oom_mark && c->exit_code != 0;
    c->termination_message = message;
    c->phase = container_phase::exited;
    c->changed.notify_all();
  }
  std::function<void(const container_info&)> fn;
  {
    std::lock_guard guard(lock_);
    fn = on_exit_;
  }
  if (fn) fn(describe(*c));
}

void linux_engine::conmon_gone(const std::string& id) {
  settle_exit(id);
  const auto c = find(id);
  if (!c) return;
  std::string cgroup;
  {
    std::lock_guard guard(c->lock);
    if (c->phase != container_phase::running && c->phase != container_phase::created) return;
    // Nobody keeps its log and waits for it any more: end it, so that it is restarted in good order.
    signal_pidfd(c->pidfd, SIGKILL);
    cgroup = c->record.cgroup;
  }
  for (const int pid : group_processes(host_.cgroups, cgroup))
    ::kill(pid, SIGKILL);
  (void)write_atomic(exit_file(id), "137");
  settle_exit(id);
}

result<void> linux_engine::stop_now(container& c) {
  std::unique_lock guard(c.lock);
  if (c.phase != container_phase::running && c.phase != container_phase::created) return {};
  signal_pidfd(c.pidfd, SIGKILL);
  if (c.changed.wait_for(guard, std::chrono::milliseconds(limits::kill_wait_ms_max),
                         [&] { return c.phase != container_phase::running && c.phase != container_phase::created; }))
    return {};
  return errors::timeout("container \"" + c.record.name + "\" (pid " + std::to_string(c.record.pid) +
                         ") does not die; it may hang in the kernel");
}

void linux_engine::erase_from_host(const container_record& record) {
  const auto dir = bundle(record.id);
  // What `delete` of crun and runc does, without a process for it: processes and groups, then their state directory.
  if (!record.cgroup.empty()) (void)remove_group(host_.cgroups, record.cgroup);
  (void)remove_tree(runtime_root() + "/" + record.id);
  unmount(dir + "/rootfs");
  if (!mounts_below(dir).empty()) unmount_below(dir);
  // The record goes last but for its directory: a crash on the way leaves something that adoption removes.
  for (const auto& name : list_directory(dir))
    if (name != "state.json") (void)remove_tree(dir + "/" + name);
  ::unlink(exit_file(record.id).c_str());
  (void)remove_tree(dir);
}

result<void> linux_engine::remove(const std::string& id) {
  const auto c = find(id);
  if (!c) return {};
  std::lock_guard operation(c->operation);
  if (find(id) != c) return {}; // another call was faster
  if (auto r = stop_now(*c); !r) return r;
  // conmon goes by itself after the exit; it must not write into a directory that is being removed.
  if (alive(c->record.conmon_pid, c->record.conmon_started) && !wait_pidfd(c->conmon_pidfd, std::chrono::seconds(3)))
    signal_pidfd(c->conmon_pidfd, SIGKILL);
  erase_from_host(c->record);
  std::lock_guard guard(lock_);
  containers_.erase(id);
  return {};
}

container_info linux_engine::describe(container& c) const {
  std::lock_guard guard(c.lock);
  container_info out;
  const auto& r = c.record;
  out.id = r.id;
  out.sandbox_id = r.sandbox_id;
  out.name = r.name;
  out.image = r.image;
  out.attempt = r.attempt;
  out.phase = c.phase;
  out.pid = c.phase == container_phase::exited ? 0 : r.pid;
  out.exit_code = c.exit_code;
  out.oom_killed = c.oom_killed;
  out.created_at = time_of(r.created_ns);
  out.started_at = time_of(r.started_ns);
  out.finished_at = time_of(c.finished_ns);
  out.log_path = r.log_path;
  out.termination_message = c.termination_message;
  out.labels = r.labels;
  return out;
}

std::vector<container_info> linux_engine::containers() {
  std::vector<container_ptr> all;
  {
    std::lock_guard guard(lock_);
    for (const auto& [id, c] : containers_)
      all.push_back(c);
  }
  std::vector<container_info> out;
  for (const auto& c : all)
    if (auto info = describe(*c); info.phase != container_phase::unknown) out.push_back(std::move(info));
  return out;
}

std::optional<container_info> linux_engine::inspect(const std::string& id) {
  const auto c = find(id);
  return c ? std::optional(describe(*c)) : std::nullopt;
}

result<usage> linux_engine::stats(const std::string& container_id) {
  auto c = require_running(container_id);
  if (!c) return c.error();
  return read_usage(host_.cgroups, (*c)->record.cgroup);
}

result<void> linux_engine::reopen_log(const std::string& id) {
  auto c = require_running(id);
  if (!c) return c.error();
  return conmon_reopen_log(bundle(id));
}

void linux_engine::on_exit(std::function<void(const container_info&)> fn) {
  std::lock_guard guard(lock_);
  on_exit_ = std::move(fn);
}

result<void> linux_engine::check_host() {
  if (broken_.code != 0) return broken_;
  const auto missing = check(host_, paths_.root);
  if (missing.empty()) return {};
  std::string all;
  for (const auto& m : missing)
    all += (all.empty() ? "" : "; ") + m;
  return failure(all);
}

} // namespace troupe::runtime::linux_host

namespace troupe::runtime {

std::shared_ptr<engine> make_linux_engine(const engine_paths& paths, std::shared_ptr<image_store> images) {
  return std::make_shared<linux_host::linux_engine>(paths, std::move(images));
}

} // namespace troupe::runtime
