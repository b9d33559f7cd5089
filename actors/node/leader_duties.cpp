#include "actors/node/leader_duties.hpp"

#include "actors/node/supervisor.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

namespace troupe::node {

namespace {

using group_changed = caf::atom_constant<caf::atom("grpchange")>;

struct duties_state {
  static inline const char* name = "leader";

  caf::stateful_actor<duties_state>* self = nullptr;
  std::shared_ptr<group_board> group;
  std::vector<duty> duties;
  std::shared_ptr<actor_board> board;
  counters_ptr counters;
  std::shared_ptr<spdlog::logger> log;
  std::shared_ptr<void> subscribed;

  caf::actor running; // the supervisor of the duties of `term`
  std::uint64_t term = 0;
  bool ending = false;   // `running` has been told to end
  bool stopping = false; // nothing starts any more
  std::vector<caf::response_promise> stopped;

  /// Brings what runs in line with the group as it is now. Called after each change and after each end.
  void settle() {
    const auto now = group->now();
    const bool wanted = !stopping && now.serving;
    if (running) {
      if (!ending && (!wanted || now.term.v != term)) end();
      return;
    }
    if (wanted) return begin(now.term.v);
    if (!stopping) return;
    for (auto& p : stopped)
      p.deliver(true);
    stopped.clear();
    self->quit(caf::exit_reason::user_shutdown);
  }

  void begin(std::uint64_t of_term) {
    term = of_term;
    ending = false;
    log->info("leading in term {}: {} start", term, names());
    std::vector<child_spec> children;
    for (const auto& d : duties)
      children.push_back({d.name, restart_rule::always, [fn = d.start, of_term] { return fn(of_term); }, false});
    running = spawn_supervisor(
        self->system(), board, std::move(children), [](std::string) {}, "node/leader/term");
  }

  void end() {
    ending = true;
    if (!stopping) log->info("no longer leading in term {}: {} end", term, names());
    ask_to_end();
  }

  /// The supervisor kills what does not stop in time, so its answer is certain; asking again costs nothing.
  void ask_to_end() {
    const auto patience = limits::stop_patience * static_cast<int>(duties.size() + 1);
    self->request(running, patience, stop_children::value)
        .then([this](bool) { gone(); },
              [this](caf::error&) {
                log->warn("the duties of term {} have not ended yet", term);
                ask_to_end();
              });
  }

  void gone() {
    running = nullptr;
    ending = false;
    settle();
  }

  std::string names() const {
    std::string out;
    for (const auto& d : duties)
      out += (out.empty() ? "" : ", ") + d.name;
    return out;
  }
};

caf::behavior leader_duties(caf::stateful_actor<duties_state>* self, std::shared_ptr<group_board> group,
                            std::vector<duty> duties, std::shared_ptr<actor_board> board) {
  auto& s = self->state;
  s.self = self;
  s.group = std::move(group);
  s.duties = std::move(duties);
  s.board = std::move(board);
  s.counters = s.board->enter("node/leader");
  s.log = component_log("leader");
  self->set_exit_handler([self](caf::exit_msg&) {
    self->state.stopping = true;
    self->state.settle();
  });
  const caf::weak_actor_ptr weak{self->ctrl()};
  s.subscribed = s.group->subscribe([weak](const group_status&) {
    if (auto strong = caf::actor_cast<caf::strong_actor_ptr>(weak))
      caf::anon_send(caf::actor_cast<caf::actor>(strong), group_changed::value);
  });
  return {
      [self](group_changed) {
        self->state.counters->touch(self);
        self->state.settle();
      },
      [self](stop_duties) {
        auto& st = self->state;
        auto promise = self->make_response_promise();
        st.stopped.push_back(promise);
        st.stopping = true;
        st.settle();
        return promise;
      },
  };
}

} // namespace

caf::actor spawn_leader_duties(caf::actor_system& sys, std::shared_ptr<group_board> group, std::vector<duty> duties,
                               std::shared_ptr<actor_board> board) {
  return sys.spawn(leader_duties, std::move(group), std::move(duties), std::move(board));
}

} // namespace troupe::node
