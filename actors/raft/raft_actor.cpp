#include "actors/raft/raft_actor.hpp"

#include "actors/raft/group_board.hpp"
#include "actors/raft/limits.hpp"
#include "actors/raft/raft_state.hpp"

#include <caf/actor_system.hpp>

namespace troupe {

namespace {

raft_inner_actor::behavior_type raft_shell(raft_inner_actor::stateful_pointer<raft_state> self,
                                           std::shared_ptr<raft_parts> parts) {
  self->state.init(self, std::move(*parts));
  return {
      [self](propose_ptr& p, const txn_sink_actor& sink) {
        self->state.on_propose(p, sink);
        self->state.settle();
      },
      [self](raft::parcel_ptr&) {},
      [self](const member_command_ptr&) -> status_ptr {
        return std::make_shared<const status>(errors::unavailable("this group has one member"));
      },
      [self](get_state_copy) -> state_copy_ptr { return self->state.copy(); },
      [self](get_raft_status) {
        self->state.settle();
        return self->state.status_json();
      },
      [self](flush_and_stop) {
        auto answer = self->make_response_promise<bool>();
        self->state.settle();
        self->state.on_stop(answer);
        return answer;
      },
      [self](const write_done_ptr& done) {
        self->state.on_written(*done);
        self->state.settle();
      },
      [self](maintain_tick) {
        self->state.on_maintain();
        self->state.settle();
      },
      [self](core_tick, std::uint64_t epoch) {
        self->state.on_core_tick(epoch);
        self->state.settle();
      },
  };
}

/// Drives the core by hand, with synchronous writes, until everything on disk is applied again.
result<void> replay(raft_parts& p, raft::instant now) {
  auto e = p.core->step(raft::begin{}, now);
  for (;;) {
    std::vector<store::change_record> changes;
    for (const auto& entry : e.apply) {
      p.machine->apply(entry, changes);
      p.mark.at = {entry.index, entry.term};
    }
    p.mark.rev = p.machine->rev();
    if (e.config) p.mark.config = *e.config;
    p.hub->append(changes, p.machine->rev());
    p.unsaved.insert(p.unsaved.end(), changes.begin(), changes.end());
    if (!e.persist) return {};
    store::write_group g;
    g.hard = e.persist->hard;
    g.append = std::move(e.persist->append);
    if (auto written = p.disk->write(g); !written) return written.error();
    e = p.core->step(raft::persisted{}, now);
  }
}

} // namespace

result<raft_handles> spawn_raft(caf::actor_system& sys, raft_options options) {
  auto parts = std::make_shared<raft_parts>();
  auto& p = *parts;
  auto disk = store::rocks_backend::open({options.data_dir,
                                          options.cluster_id,
                                          options.member,
                                          {{options.member}, {}, {}, {}, false},
                                          options.disk_reserve_bytes});
  if (!disk) return disk.error();
  p.disk = std::move(*disk);
  p.machine = std::make_unique<store::state_machine>();
  auto found = p.disk->recover(*p.machine);
  if (!found) return found.error();
  auto past = p.disk->read_history(*p.machine, store::limits::refill_events_max, store::limits::refill_bytes_max);
  if (!past) return past.error();
  p.hub = std::make_shared<store::watch_window>();
  p.hub->start(past->floor, p.machine->rev());
  p.hub->append(past->changes, p.machine->rev());
  p.mark = found->applied;

  raft::core_options co;
  co.self = options.member;
  co.seed = options.seed;
  co.uncommitted_bytes_max = limits::uncommitted_bytes_max;
  p.core = std::make_unique<raft::raft_core>(co, raft::core_state{found->hard, found->base, std::move(found->log),
                                                                  found->applied.at.index, found->applied.config});
  p.options = std::move(options);
  if (!p.options.group) p.options.group = std::make_shared<group_board>();
  if (auto done = replay(p, sys.clock().now().time_since_epoch()); !done) return done.error();
  p.published = std::make_shared<store::published_view>(p.machine->snapshot());

  raft_handles out;
  out.group = p.options.group;
  out.state = p.published;
  out.hub = p.hub;
  out.raft = sys.spawn(raft_shell, parts);
  return out;
}

} // namespace troupe
