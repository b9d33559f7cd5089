// hollow_engine: an engine without containers, for simulated nodes and tests without privileges.
#include "runtime/engine.hpp"

#include <map>
#include <mutex>

namespace troupe::runtime {
namespace {

using clock = std::chrono::system_clock;

status refuse(int code, const char* reason, std::string message) {
  status s;
  s.code = code;
  s.reason = reason;
  s.message = std::move(message);
  return s;
}

status hollow(const char* what) {
  return refuse(501, "NotImplemented", std::string("this node is simulated and runs no processes: no ") + what);
}

/// States follow calls: created by create, running by start, exited by a signal that would end a process. A container
/// labelled `hollow/exit-code` ends by itself at start, as a finished job would.
class hollow_engine final : public engine {
public:
  explicit hollow_engine(std::function<clock::time_point()> now) : now_(std::move(now)) {}

  result<sandbox_info> create_sandbox(const sandbox_spec& spec) override {
    std::lock_guard guard(lock_);
    return sandboxes_.emplace(spec.id, sandbox_info{spec.id, spec.ns, spec.name, "", "/hollow/" + spec.id})
        .first->second;
  }
  result<void> remove_sandbox(const std::string& id) override {
    std::lock_guard guard(lock_);
    sandboxes_.erase(id);
    std::erase_if(containers_, [&](const auto& c) { return c.second.sandbox_id == id; });
    return {};
  }
  std::vector<sandbox_info> sandboxes() override {
    std::lock_guard guard(lock_);
    std::vector<sandbox_info> out;
    for (const auto& [id, s] : sandboxes_)
      out.push_back(s);
    return out;
  }

  result<void> create(const container_spec& spec) override {
    std::lock_guard guard(lock_);
    if (!sandboxes_.contains(spec.sandbox_id))
      return refuse(400, "BadRequest", "sandbox \"" + spec.sandbox_id + "\" does not exist");
    container_info c;
    c.id = spec.id;
    c.sandbox_id = spec.sandbox_id;
    c.name = spec.name;
    c.image = spec.image;
    c.attempt = spec.attempt;
    c.phase = container_phase::created;
    c.created_at = now_();
    c.log_path = spec.log_path;
    c.labels = spec.labels;
    if (!containers_.emplace(spec.id, c).second)
      return refuse(409, "Conflict", "container \"" + spec.id + "\" exists already");
    return {};
  }
  result<void> start(const std::string& id) override {
    std::optional<int> exit_code;
    {
      std::lock_guard guard(lock_);
      const auto it = containers_.find(id);
      if (it == containers_.end()) return missing(id);
      if (it->second.phase != container_phase::created)
        return refuse(409, "Conflict", "container \"" + id + "\" cannot be started again");
      it->second.phase = container_phase::running;
      it->second.started_at = now_();
      if (const auto l = it->second.labels.find("hollow/exit-code"); l != it->second.labels.end())
        exit_code = std::atoi(l->second.c_str());
    }
    if (exit_code) end(id, *exit_code);
    return {};
  }
  result<void> signal(const std::string& id, int signo) override {
    {
      std::lock_guard guard(lock_);
      if (!containers_.contains(id)) return missing(id);
    }
    constexpr int hup = 1, interrupt = 2, quit = 3, kill = 9, terminate = 15;
    if (signo == hup || signo == interrupt || signo == quit || signo == kill || signo == terminate)
      end(id, 128 + signo);
    return {};
  }
  result<void> remove(const std::string& id) override {
    std::lock_guard guard(lock_);
    containers_.erase(id);
    return {};
  }
  std::vector<container_info> containers() override {
    std::lock_guard guard(lock_);
    std::vector<container_info> out;
    for (const auto& [id, c] : containers_)
      out.push_back(c);
    return out;
  }
  std::optional<container_info> inspect(const std::string& id) override {
    std::lock_guard guard(lock_);
    const auto it = containers_.find(id);
    return it == containers_.end() ? std::nullopt : std::optional(it->second);
  }

  result<exec_result> exec_sync(const std::string&, const std::vector<std::string>&,
                                std::chrono::milliseconds) override {
    return exec_result{}; // probes of simulated pods succeed
  }
  result<exec_process> exec_start(const std::string&, const std::vector<std::string>&, bool, bool) override {
    return hollow("exec");
  }
  result<int> exec_wait(const exec_process&) override { return hollow("exec"); }
  result<void> exec_kill(const exec_process&) override { return hollow("exec"); }
  result<void> exec_resize(const exec_process&, std::uint16_t, std::uint16_t) override { return hollow("exec"); }
  result<exec_process> attach(const std::string&) override { return hollow("attach"); }

  result<usage> stats(const std::string& id) override {
    std::lock_guard guard(lock_);
    if (!containers_.contains(id)) return missing(id);
    return usage{};
  }
  result<void> reopen_log(const std::string&) override { return {}; }
  void on_exit(std::function<void(const container_info&)> fn) override {
    std::lock_guard guard(lock_);
    on_exit_ = std::move(fn);
  }
  result<void> check_host() override { return {}; }
  std::string version() const override { return "hollow 1"; }

private:
  static status missing(const std::string& id) {
    return refuse(404, "NotFound", "container \"" + id + "\" does not exist");
  }
  void end(const std::string& id, int exit_code) {
    std::function<void(const container_info&)> fn;
    container_info info;
    {
      std::lock_guard guard(lock_);
      const auto it = containers_.find(id);
      if (it == containers_.end() || it->second.phase == container_phase::exited) return;
      it->second.phase = container_phase::exited;
      it->second.exit_code = exit_code;
      it->second.finished_at = now_();
      info = it->second;
      fn = on_exit_;
    }
    if (fn) fn(info);
  }

  std::mutex lock_;
  std::map<std::string, sandbox_info> sandboxes_;
  std::map<std::string, container_info> containers_;
  std::function<void(const container_info&)> on_exit_;
  const std::function<clock::time_point()> now_;
};

} // namespace

std::shared_ptr<engine> make_hollow_engine(std::function<clock::time_point()> wall_clock) {
  if (!wall_clock) wall_clock = [] { return clock::now(); };
  return std::make_shared<hollow_engine>(std::move(wall_clock));
}

} // namespace troupe::runtime
