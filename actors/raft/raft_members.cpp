// Who belongs to the group and who leads it, as the outside asks for it; and the planned stop, which hands over first.
#include "actors/raft/confchange.hpp"
#include "actors/raft/limits.hpp"
#include "actors/raft/raft_state.hpp"

#include <caf/event_based_actor.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace troupe {

using store::member_id;

namespace {

status conflict(std::string message) {
  auto s = errors::internal(std::move(message));
  s.code = 409;
  s.reason = "Conflict";
  return s;
}
status_ptr shared(status s) { return std::make_shared<const status>(std::move(s)); }

raft::members_change::op op_of(member_command::op what) {
  switch (what) {
  case member_command::op::add_learner: return raft::members_change::op::add_learner;
  case member_command::op::promote: return raft::members_change::op::add_voter;
  default: return raft::members_change::op::remove;
  }
}

} // namespace

// ---------------------------------------------------------------- commands

/// Null when it is under way (`at` then says as what), else the answer.
status_ptr raft_state::try_change(const member_command& c, std::optional<store::log_position>& at) {
  if (c.what == member_command::op::promote) {
    auto it = core_->members().find(c.who);
    if (it == core_->members().end()) return shared(conflict("member " + std::to_string(c.who.v) + " is no learner"));
    const auto lag = core_->log().last().index.v - it->second.match.v;
    if (lag > limits::promote_lag_entries_max)
      return shared(conflict("member " + std::to_string(c.who.v) + " is " + std::to_string(lag) +
                             " entries behind; wait until it has caught up"));
  }
  const bool known = raft::contains(raft::all_members(core_->config()), c.who);
  if (c.what == member_command::op::remove && !known)
    return shared(conflict("member " + std::to_string(c.who.v) + " does not belong to the group"));
  if (c.what == member_command::op::add_learner && known)
    return shared(conflict("member " + std::to_string(c.who.v) + " belongs to the group already"));
  raft::change_members change{{{{op_of(c.what), c.who}}}};
  std::string why;
  if (!raft::changed(core_->config(), change.change, why)) return shared(conflict(why));
  auto out = core_->step(change, now());
  const auto refused = out.refused;
  at = out.accepted;
  perform(std::move(out));
  if (at) return nullptr;
  if (refused == raft::refusal::change_pending)
    return shared(errors::unavailable("another change of the group is under way; try again when it is done"));
  return shared(errors::unavailable("the group does not take a change of its members now; try again"));
}

void raft_state::on_command(const member_command& c, caf::typed_response_promise<status_ptr> answer) {
  if (core_->role_now() != raft::role::leader) {
    auto s = core_->leader()
                 ? errors::unavailable("member " + std::to_string(core_->leader().v) + " leads the group; ask that one")
                 : no_leader();
    s.retry_after_s = 1;
    answer.deliver(shared(std::move(s)));
    return;
  }
  waiting_command w;
  w.answer = answer;
  w.until = now() + limits::command_patience;
  if (c.what == member_command::op::transfer) {
    const auto to = c.who ? c.who : best_successor();
    if (!to || !raft::is_voter(core_->config(), to) || to == options_.member) {
      answer.deliver(shared(conflict("leadership can only go to another voter of the group")));
      return;
    }
    step(raft::transfer_leadership{to});
    w.until = now() + 2 * options_.timing.election_min;
  } else if (auto refused = try_change(c, w.at)) {
    answer.deliver(refused);
    return;
  }
  commands_.push_back(std::move(w));
  settle_commands();
  arm_patience();
}

void raft_state::settle_commands() {
  const auto& log = core_->log();
  std::erase_if(commands_, [&](waiting_command& w) {
    status_ptr verdict;
    if (w.at) {
      const auto term = log.term_at(w.at->index);
      if (term && *term != w.at->term)
        verdict =
            shared(errors::unavailable("another leader took over before the change was committed: it did not happen"));
      else if (log.applied() >= w.at->index)
        verdict = shared(status::none());
    } else if (core_->role_now() != raft::role::leader) {
      verdict = shared(status::none());
    } else if (!core_->transferring()) {
      verdict = shared(errors::unavailable("the other member did not take over in time; this one leads on"));
    }
    if (!verdict && w.until <= now())
      verdict = shared(errors::timeout("the group did not confirm the change in time; look at its members"));
    if (!verdict) return false;
    w.answer.deliver(verdict);
    return true;
  });
}

/// Of the voters that hold everything (else of all reachable ones): highest priority, then most of the log.
member_id raft_state::best_successor(const std::vector<member_id>& but) const {
  member_id best;
  std::tuple<bool, int, std::uint64_t> best_rank;
  for (const auto& [id, p] : core_->members()) {
    if (id == options_.member || !raft::is_voter(core_->config(), id) || p.how == raft::progress::mode::snapshot ||
        raft::contains(but, id))
      continue;
    if (now() - p.last_contact > options_.timing.election_min) continue;
    auto wish = options_.priorities.find(id);
    const std::tuple rank{p.match == core_->log().last().index, wish == options_.priorities.end() ? 0 : wish->second,
                          p.match.v};
    if (!best || rank > best_rank) {
      best = id;
      best_rank = rank;
    }
  }
  return best;
}

// ---------------------------------------------------------------- planned stop

void raft_state::on_stop(caf::typed_response_promise<bool> answer) {
  if (closed_) {
    answer.deliver(true);
    return;
  }
  stopping_.push_back(std::move(answer));
  if (stopping_.size() == 1) begin_stop();
  finish_stop();
}

void raft_state::begin_stop() {
  stop_by_ = now() + limits::stop_patience;
  if (core_->role_now() != raft::role::leader || alone()) return;
  const auto to = best_successor();
  if (!to) return;
  handing_over_ = true;
  stop_by_ = now() + limits::handover_patience;
  log_->info("hands leadership to member {} before it stops", to.v);
  step(raft::transfer_leadership{to});
  arm_patience();
}

void raft_state::finish_stop() {
  if (closed_) {
    for (auto& p : stopping_)
      p.deliver(!write_error_.has_value());
    stopping_.clear();
    return;
  }
  const bool late = stop_by_ <= now();
  if (handing_over_ && core_->role_now() == raft::role::leader && core_->transferring() && !late) return;
  handing_over_ = false;
  if (closing_ || (ledger_.size() > 0 && !late)) return;
  closing_ = true;
  flush_unsaved(true);
}

// ---------------------------------------------------------------- what the outside sees

state_copy_ptr raft_state::copy() {
  auto out = std::make_shared<state_copy>();
  if (arriving_) return out; // between two states: asked again in a moment
  out->cluster_id = disk_->cluster_id();
  out->at = mark_.at;
  out->config = mark_.config;
  out->view = machine_->snapshot();
  return out;
}

std::string raft_state::status_json() const {
  static constexpr const char* names[] = {"follower", "pre-candidate", "candidate", "leader"};
  const auto& log = core_->log();
  json::array members;
  for (auto id : raft::all_members(core_->config())) {
    json::object m{{"id", id.v}, {"voter", raft::is_voter(core_->config(), id)}, {"self", id == options_.member}};
    if (auto it = core_->members().find(id); it != core_->members().end()) {
      m["match"] = it->second.match.v;
      if (id != options_.member)
        m["lastContactMs"] =
            std::chrono::duration_cast<std::chrono::milliseconds>(now() - it->second.last_contact).count();
      m["snapshot"] = it->second.how == raft::progress::mode::snapshot;
    }
    members.push_back(std::move(m));
  }
  json::object out{
      {"role", names[static_cast<int>(core_->role_now())]},
      {"member", options_.member.v},
      {"leader", core_->leader().v},
      {"term", core_->term().v},
      {"commitIndex", log.commit().v},
      {"appliedIndex", log.applied().v},
      {"durableIndex", log.stable().v},
      {"lastIndex", log.last().index.v},
      {"firstIndex", log.base().index.v + 1},
      {"revision", machine_->rev()},
      {"compactedRevision", disk_->horizon()},
      {"pending", ledger_.size()},
      {"entriesApplied", txns_applied_},
      {"groupsWritten", groups_written_},
      {"lastWriteMicros", std::chrono::duration_cast<std::chrono::microseconds>(last_write_).count()},
      {"slowestWriteMicros", std::chrono::duration_cast<std::chrono::microseconds>(slowest_write_).count()},
      {"watchWindowBytes", hub_->bytes()},
      {"leaderChanges", leader_changes_},
      {"snapshotsSent", snapshots_sent_},
      {"snapshotsTaken", snapshots_taken_},
      {"cluster", disk_->cluster_id()},
      {"members", std::move(members)}};
  if (core_->recovering()) out["recovering"] = true;
  if (!out_of_service_.empty()) out["outOfService"] = out_of_service_;
  if (write_error_) out["writeError"] = write_error_->message;
  if (auto room = disk_->room(); !room) out["writeError"] = room.error().message;
  return json::serialize(out);
}

} // namespace troupe
