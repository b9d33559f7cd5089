#include "actors/node/supervisor.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace troupe::node {

std::chrono::milliseconds next_restart_delay(std::chrono::milliseconds former,
                                             std::chrono::milliseconds lived) noexcept {
  if (former.count() == 0 || lived >= limits::restart_calm) return limits::restart_delay_min;
  return std::min(former * 2, limits::restart_delay_max);
}

namespace {

using restart_child = caf::atom_constant<caf::atom("restart")>;
using stop_overdue = caf::atom_constant<caf::atom("overdue")>;
using renew_overdue = caf::atom_constant<caf::atom("reoverdue")>;
using clock = std::chrono::steady_clock;

struct child {
  child_spec spec;
  caf::actor handle;
  clock::time_point born;
  std::chrono::milliseconds delay{0};
  bool renewing = false; // told to end, to be started again
};

struct supervisor_state {
  static inline const char* name = "supervisor";
  std::shared_ptr<actor_board> board;
  counters_ptr counters;
  std::vector<child> children;
  std::function<void(std::string)> on_fatal;
  std::shared_ptr<spdlog::logger> log;
  bool stopping = false;
  std::size_t stop_epoch = 0;
  caf::response_promise stopped;
};

using self_ptr = caf::stateful_actor<supervisor_state>*;

void start_child(self_ptr self, std::size_t i) {
  auto& c = self->state.children[i];
  c.handle = c.spec.start();
  c.born = self->clock().now();
  self->monitor(c.handle);
}

/// Stops children one at a time, last started first, so that none outlives what it depends on.
void stop_next(self_ptr self) {
  auto& s = self->state;
  while (!s.children.empty() && (!s.children.back().handle || s.children.back().spec.foreign))
    s.children.pop_back();
  if (s.children.empty()) {
    s.stopped.deliver(true);
    self->quit();
    return;
  }
  self->send_exit(s.children.back().handle, caf::exit_reason::user_shutdown);
  self->delayed_send(self, limits::stop_patience, stop_overdue::value, ++s.stop_epoch);
}

void on_down(self_ptr self, const caf::down_msg& down) {
  auto& s = self->state;
  for (std::size_t i = 0; i < s.children.size(); ++i) {
    auto& c = s.children[i];
    if (!c.handle || c.handle.address() != down.source) continue;
    c.handle = nullptr;
    if (s.stopping) {
      if (i + 1 == s.children.size()) stop_next(self);
      return;
    }
    if (std::exchange(c.renewing, false)) {
      self->delayed_send(self, limits::restart_delay_min, restart_child::value, i);
      return;
    }
    const auto reason = self->system().render(down.reason);
    if (c.spec.rule == restart_rule::fatal) {
      s.log->critical("actor={} died reason=\"{}\"; the node cannot go on without it", c.spec.name, reason);
      s.on_fatal(c.spec.name + " died: " + reason);
      return;
    }
    const auto lived = std::chrono::duration_cast<std::chrono::milliseconds>(self->clock().now() - c.born);
    c.delay = next_restart_delay(c.delay, lived);
    s.log->error("actor={} died reason=\"{}\" lived_ms={} restart_in_ms={}", c.spec.name, reason, lived.count(),
                 c.delay.count());
    self->delayed_send(self, c.delay, restart_child::value, i);
    return;
  }
}

void renew(self_ptr self) {
  for (auto& c : self->state.children) {
    if (!c.handle || c.spec.foreign || std::exchange(c.renewing, true)) continue;
    self->state.log->info("actor={} starts anew", c.spec.name);
    self->send_exit(c.handle, caf::exit_reason::user_shutdown);
    self->delayed_send(self, limits::stop_patience, renew_overdue::value, c.handle.address());
  }
}

void on_renew_overdue(self_ptr self, const caf::actor_addr& who) {
  for (const auto& c : self->state.children)
    if (c.renewing && c.handle && c.handle.address() == who) {
      self->state.log->warn("actor={} does not end; killed", c.spec.name);
      self->send_exit(c.handle, caf::exit_reason::kill);
    }
}

caf::behavior supervisor(self_ptr self, std::shared_ptr<actor_board> board, std::vector<child_spec> specs,
                         std::function<void(std::string)> on_fatal, const std::string& path) {
  auto& s = self->state;
  s.board = std::move(board);
  s.counters = s.board->enter(path);
  s.on_fatal = std::move(on_fatal);
  s.log = component_log("supervisor");
  self->set_down_handler([self](caf::down_msg& down) { on_down(self, down); });
  for (auto& spec : specs)
    s.children.push_back({std::move(spec), {}, {}, {}, false});
  for (std::size_t i = 0; i < s.children.size(); ++i)
    start_child(self, i);
  return {
      [self](restart_child, std::size_t i) {
        self->state.counters->touch(self);
        if (!self->state.stopping) start_child(self, i);
      },
      [self](stop_children) {
        auto& st = self->state;
        st.stopping = true;
        st.stopped = self->make_response_promise();
        stop_next(self);
        return st.stopped;
      },
      [self](renew_children) {
        self->state.counters->touch(self);
        if (!self->state.stopping) renew(self);
      },
      [self](renew_overdue, const caf::actor_addr& who) { on_renew_overdue(self, who); },
      [self](stop_overdue, std::size_t epoch) {
        auto& st = self->state;
        if (epoch != st.stop_epoch || st.children.empty() || !st.children.back().handle) return;
        st.log->warn("actor={} does not stop; killed", st.children.back().spec.name);
        self->send_exit(st.children.back().handle, caf::exit_reason::kill);
      },
  };
}

} // namespace

caf::actor spawn_supervisor(caf::actor_system& sys, std::shared_ptr<actor_board> board,
                            std::vector<child_spec> children, std::function<void(std::string)> on_fatal,
                            std::string path) {
  return sys.spawn(supervisor, std::move(board), std::move(children), std::move(on_fatal), std::move(path));
}

} // namespace troupe::node
