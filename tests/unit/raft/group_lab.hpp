// group_lab: real Raft actors over real stores, many members in one system on virtual time, wired by a switchboard
//            that can cut any wire.
// Owner:  the test.
// Units:  virtual time; `run` moves it in steps of 10 ms.
// Errors: throws when a member does not start.
// Source: ours.
#pragma once

#include "actors/raft/group_board.hpp"
#include "actors/raft/raft_actor.hpp"
#include "actors/raft/raft_transport.hpp"
#include "tests/unit/raft/fillable_disk.hpp"
#include "tests/unit/raft/store_client.hpp"

#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>

#include <map>
#include <set>

class group_lab {
  struct config : caf::actor_system_config {
    config() { set("scheduler.policy", caf::atom("testing")); }
  };

public:
  using member_id = troupe::store::member_id;

  struct member {
    std::shared_ptr<troupe::raft_transport> wire;
    troupe::raft_handles raft;
    troupe::txn_sink_actor sink;
    std::shared_ptr<fillable_disk> disk;
    std::shared_ptr<answer_box> box = std::make_shared<answer_box>();
  };

  explicit group_lab(unsigned founders) {
    for (std::uint64_t id = 1; id <= founders; ++id)
      founders_.push_back(member_id{id});
    for (auto id : founders_)
      start(id);
  }
  ~group_lab() {
    while (!members.empty())
      kill(members.begin()->first);
  }

  void start(member_id id, bool joining = false) {
    auto& m = members[id];
    m.wire = std::make_shared<wire>(*this, id);
    troupe::raft_options o;
    o.data_dir = dir_.path + "/" + std::to_string(id.v);
    o.cluster_id = "c";
    o.member = id;
    if (!joining) o.founders = founders_;
    o.joining = joining;
    o.transport = m.wire;
    o.threads = false;
    o.seed = 100 * ++lives_ + id.v;
    o.timing.check_every = std::chrono::seconds(20);
    troupe::store::group_config first;
    first.voters = o.founders;
    auto below = troupe::store::rocks_backend::open({o.data_dir, o.cluster_id, id, first, 0});
    if (!below) throw std::runtime_error(below.error().message);
    o.disk = m.disk = std::make_shared<fillable_disk>(std::move(*below));
    auto opened = troupe::spawn_raft(system, o);
    if (!opened) throw std::runtime_error(opened.error().message);
    m.raft = *opened;
    m.sink = system.spawn(answer_sink, m.box);
    scheduler.run();
  }
  /// As a crash: nothing more of it happens.
  void kill(member_id id) {
    auto it = members.find(id);
    caf::anon_send_exit(it->second.raft.raft, caf::exit_reason::kill);
    caf::anon_send_exit(it->second.sink, caf::exit_reason::kill);
    inbox_.erase(id);
    members.erase(it);
    scheduler.run();
  }
  void run(std::chrono::milliseconds d) {
    for (; d.count() > 0; d -= std::chrono::milliseconds(10)) {
      scheduler.advance_time(std::chrono::milliseconds(10));
      scheduler.run();
    }
  }
  /// Zero when there is none that serves.
  member_id leader() const {
    for (const auto& [id, m] : members)
      if (m.raft.group->now().serving && !cut.contains(id)) return id;
    return {};
  }
  member_id await_leader() {
    for (int i = 0; i < 1000 && !leader(); ++i)
      run(std::chrono::milliseconds(10));
    return leader();
  }
  member_id follower() {
    const auto lead = await_leader();
    for (const auto& [id, m] : members)
      if (id != lead) return id;
    return {};
  }
  std::uint64_t propose(member_id at, const std::string& name, std::uint64_t expected = 0, std::uint64_t fence = 0,
                        std::size_t bytes = 2) {
    auto p = std::make_shared<troupe::propose>();
    p->ticket = ++tickets_;
    p->change.compares.push_back({{"t", "", name}, expected});
    p->change.puts.push_back({{"t", "", name}, "{" + std::string(bytes - 2, ' ') + "}", std::string::npos});
    p->change.fence_term = fence;
    caf::anon_send(members[at].raft.raft, std::move(p), members[at].sink);
    scheduler.run();
    return tickets_;
  }
  std::map<std::uint64_t, troupe::store::txn_result> answers(member_id at) {
    std::map<std::uint64_t, troupe::store::txn_result> out;
    auto& box = *members[at].box;
    std::lock_guard g(box.lock);
    for (auto& [ticket, r] : std::exchange(box.items, {}))
      out[ticket] = std::move(r);
    return out;
  }
  troupe::status command(member_id at, troupe::member_command c, std::chrono::milliseconds within) {
    troupe::status_ptr got;
    auto asker = system.spawn([&, raft = members[at].raft.raft](caf::event_based_actor* self) {
      self->request(raft, std::chrono::seconds(60), std::make_shared<const troupe::member_command>(c))
          .then([&](const troupe::status_ptr& s) { got = s; }, [](caf::error&) {});
    });
    for (; !got && within.count() > 0; within -= std::chrono::milliseconds(10))
      run(std::chrono::milliseconds(10));
    caf::anon_send_exit(asker, caf::exit_reason::kill);
    scheduler.run();
    return got ? *got : troupe::errors::timeout("no answer");
  }
  bool same_everywhere() const {
    std::set<std::uint64_t> hashes;
    for (const auto& [id, m] : members)
      hashes.insert(std::dynamic_pointer_cast<const troupe::store::state_view>(m.raft.state->current())->hash());
    return hashes.size() == 1;
  }

  config config_;
  caf::actor_system system{config_};
  caf::scheduler::test_coordinator& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  std::map<member_id, member> members;
  std::set<member_id> cut; // neither hears nor is heard
  std::uint64_t parcels = 0;

private:
  struct wire final : troupe::raft_transport {
    wire(group_lab& l, member_id me) : lab(l), id(me) {}
    void send(troupe::raft::parcel_ptr p) override {
      if (lab.cut.contains(id) || lab.cut.contains(p->to)) return;
      auto to = lab.inbox_.find(p->to);
      if (to == lab.inbox_.end()) return;
      ++lab.parcels;
      caf::anon_send(to->second, std::move(p));
    }
    void deliver_to(troupe::raft_actor inbox) override { lab.inbox_[id] = std::move(inbox); }
    void members(const std::vector<member_id>&) override {}
    group_lab& lab;
    member_id id;
  };

  temp_dir dir_;
  std::vector<member_id> founders_;
  std::map<member_id, troupe::raft_actor> inbox_;
  std::uint64_t lives_ = 0, tickets_ = 0;

public:
  const std::string& dir() const { return dir_.path; }
};
