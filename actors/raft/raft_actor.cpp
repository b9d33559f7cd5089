#include "actors/raft/raft_actor.hpp"

#include "actors/raft/group_board.hpp"
#include "actors/raft/limits.hpp"
#include "actors/raft/raft_state.hpp"
#include "actors/support/scheduling.hpp"

#include "store/rocks_backend.hpp"

#include <caf/actor_system.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

namespace troupe {

namespace {

raft_inner_actor::behavior_type raft_shell(raft_inner_actor::stateful_pointer<raft_state> self,
                                           std::shared_ptr<raft_parts> parts) {
  self->state.init(self, std::move(*parts));
  self->state.settle();
  return {
      [self](propose_ptr& p, const txn_sink_actor& sink) {
        self->state.on_propose(p, sink);
        self->state.settle();
      },
      [self](raft::parcel_ptr& p) {
        self->state.on_parcel(*p);
        self->state.settle();
      },
      [self](const member_command_ptr& c) {
        auto answer = self->make_response_promise<status_ptr>();
        self->state.on_command(*c, answer);
        self->state.settle();
        return answer;
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
        self->state.settle();
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
      [self](patience_tick) {
        self->state.on_patience();
        self->state.settle();
      },
      [self](readers_wake) {
        self->state.on_readers();
        self->state.settle();
      },
      [self](retry_write) {
        self->state.on_retry();
        self->state.settle();
      },
      [self](check_tick) {
        self->state.on_check();
        self->state.settle();
      },
      [self](hash_found, std::uint64_t at, std::uint64_t hash) {
        self->state.on_hash(store::log_index{at}, hash);
        self->state.settle();
      },
  };
}

/// A step takes microseconds, and the disk is the writer's.
class raft_shell_actor final : public raft_inner_actor::stateful_base<raft_state>, public brief_actor {
public:
  using super = raft_inner_actor::stateful_base<raft_state>;
  raft_shell_actor(caf::actor_config& cfg, std::shared_ptr<raft_parts> parts) : super(cfg), parts_(std::move(parts)) {}

protected:
  raft_inner_actor::behavior_type make_behavior() override { return raft_shell(this, std::move(parts_)); }

private:
  std::shared_ptr<raft_parts> parts_; // until it begins
};

/// Drives the core by hand, with synchronous writes, until everything on disk is applied again.
result<void> replay(raft_parts& p, raft::instant now) {
  auto e = p.core->step(raft::begin{}, now);
  for (;;) {
    std::vector<store::change_record> changes;
    for (const auto& entry : e.apply) {
      const auto before = changes.size();
      p.machine->apply(entry, changes);
      p.mark.at = {entry.index, entry.term};
      if (p.options.on_applied) p.options.on_applied(entry, std::span(changes).subspan(before), p.machine->rev());
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

result<std::shared_ptr<store::member_disk>> open_disk(const raft_options& o) {
  if (o.disk) return o.disk;
  store::group_config first;
  if (!o.founders.empty())
    first.voters = o.founders;
  else if (!o.joining)
    first.voters = {o.member};
  std::sort(first.voters.begin(), first.voters.end());
  auto disk = store::rocks_backend::open({o.data_dir, o.cluster_id, o.member, first, o.disk_reserve_bytes});
  if (!disk) return disk.error();
  return std::shared_ptr<store::member_disk>(std::move(*disk));
}

raft::core_options core_options_of(const raft_options& o) {
  raft::core_options co;
  co.self = o.member;
  co.heartbeat_every = o.timing.heartbeat_every;
  co.election_min = o.timing.election_min;
  co.lease_reads = o.timing.lease_reads;
  co.seed = o.seed;
  co.uncommitted_bytes_max = limits::uncommitted_bytes_max;
  return co;
}

/// A store from before groups existed holds its first entry: a member that joins could replay the log without ever
/// learning who founded the group. Forgetting that entry makes it start from a snapshot.
void forget_first_entry(store::recovered_state& found) {
  if (found.base.index || found.log.empty() || found.applied.at.index < found.log.front().index) return;
  found.base = {found.log.front().index, found.log.front().term};
  found.log.erase(found.log.begin());
}

std::uint64_t life_of(const raft_options& o) {
  if (!o.threads) return o.seed; // a simulation replays
  std::random_device device;
  return (std::uint64_t{device()} << 32) ^ device();
}

} // namespace

result<raft_handles> spawn_raft(caf::actor_system& sys, raft_options options) {
  auto parts = std::make_shared<raft_parts>();
  auto& p = *parts;
  auto disk = open_disk(options);
  if (!disk) return disk.error();
  p.disk = std::move(*disk);
  p.machine = std::make_unique<store::state_machine>();
  auto found = p.disk->recover(*p.machine);
  if (!found) return found.error();
  if (!found->damage.empty())
    component_log("raft")->critical("{}; member {} takes everything from the others and does not vote before",
                                    found->damage, options.member.v);
  forget_first_entry(*found);
  auto past = p.disk->read_history(*p.machine, store::limits::refill_events_max, store::limits::refill_bytes_max);
  if (!past) return past.error();
  store::watch_window::bounds window;
  window.events_max = options.window_events_max;
  p.hub = std::make_shared<store::watch_window>(window);
  p.hub->start(past->floor, p.machine->rev());
  p.hub->append(past->changes, p.machine->rev());
  p.mark = found->applied;
  p.life = life_of(options);
  p.first_term = found->hard.term;
  if (options.seed == 1 && options.threads) options.seed = p.life;
  p.core = std::make_unique<raft::raft_core>(core_options_of(options),
                                             raft::core_state{found->hard, found->base, std::move(found->log),
                                                              found->applied.at.index, found->applied.config,
                                                              !found->damage.empty()});
  p.options = std::move(options);
  if (!p.options.group) p.options.group = std::make_shared<group_board>();
  auto t = sys.clock().now().time_since_epoch();
  if (auto done = replay(p, p.options.my_clock ? p.options.my_clock(t) : t); !done) return done.error();
  p.published = std::make_shared<store::published_view>(p.machine->snapshot());

  raft_handles out;
  out.group = p.options.group;
  out.state = p.published;
  out.hub = p.hub;
  out.raft = sys.spawn<raft_shell_actor>(parts);
  return out;
}

} // namespace troupe
