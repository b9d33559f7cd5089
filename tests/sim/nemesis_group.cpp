// What goes wrong between members: links, leadership, membership.
#include "actors/raft/quorum.hpp"
#include "tests/sim/nemesis.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace troupe::sim {

namespace {
constexpr unsigned command_tries = 30;
constexpr unsigned looks_to_believe = 10;
constexpr std::chrono::seconds look_patience{5};
} // namespace

// ---------------------------------------------------------------- network

void nemesis::split() {
  std::vector<member_id> left, right;
  for (auto& m : cluster_.masters)
    (random_.below(2) == 0 ? left : right).push_back(m->id());
  if (left.empty() || right.empty()) return;
  std::string names;
  for (const auto a : left) {
    names += (names.empty() ? "" : ", ") + std::to_string(a.v);
    for (const auto b : right) {
      cluster_.net.cut(a, b);
      cluster_.net.cut(b, a);
    }
  }
  note("split off " + names);
  later(for_a_while(std::chrono::seconds(6)), [left, right](nemesis& n) {
    for (const auto a : left)
      for (const auto b : right) {
        n.cluster_.net.cut(a, b, false);
        n.cluster_.net.cut(b, a, false);
      }
  });
}

void nemesis::cut_one_way() {
  auto* a = victim();
  auto* b = cluster_.any(random_);
  if (!a || !b || a == b) return;
  const bool outward = random_.below(2) == 0;
  const auto from = outward ? a->id() : b->id(), to = outward ? b->id() : a->id();
  note("cut " + std::to_string(from.v) + " -> " + std::to_string(to.v));
  cluster_.net.cut(from, to);
  later(for_a_while(std::chrono::seconds(8)), [from, to](nemesis& n) { n.cluster_.net.cut(from, to, false); });
}

/// All it says is lost, or all it is told, or both.
void nemesis::isolate_leader() {
  auto* l = cluster_.leader();
  if (!l) return;
  const auto how = random_.below(3);
  const auto set = [how, id = l->id()](cluster& c, bool yes) {
    for (auto& m : c.masters) {
      if (m->id() == id) continue;
      if (how != 1) c.net.cut(id, m->id(), yes);
      if (how != 0) c.net.cut(m->id(), id, yes);
    }
  };
  note("isolate leader " + std::to_string(l->id().v) + (how == 0 ? " outward" : how == 1 ? " inward" : ""));
  set(cluster_, true);
  later(for_a_while(std::chrono::seconds(5)), [set](nemesis& n) { set(n.cluster_, false); });
}

void nemesis::bad_links() {
  auto& r = cluster_.net.rules;
  r = {};
  if (random_.below(2) == 0) r.loss = 0.3 * random_.part();
  if (random_.below(2) == 0) r.repeat = 0.3 * random_.part();
  if (random_.below(2) == 0) r.late = 0.3 * random_.part();
  if (random_.below(3) == 0) r.delay_max = random_.around(std::chrono::milliseconds(60));
  r.late_max = random_.between(std::chrono::milliseconds(10), std::chrono::milliseconds(3000));
  note("bad links");
  later(for_a_while(std::chrono::seconds(8)), [](nemesis& n) { n.cluster_.net.rules = {}; });
}

/// Every parcel many times over, through links that hold little.
void nemesis::storm() {
  note("message storm");
  cluster_.net.rules.storm = static_cast<unsigned>(random_.between(3, 20));
  cluster_.net.backlog_max = static_cast<std::size_t>(random_.between(2, 64));
  later(for_a_while(std::chrono::seconds(2)), [](nemesis& n) {
    n.cluster_.net.rules.storm = 0;
    n.cluster_.net.backlog_max = 4096;
  });
}

// ---------------------------------------------------------------- leadership and membership

/// Of whoever leads, again and again while the answer is that it may be tried again.
void nemesis::ask(member_command what, unsigned tries, std::function<void(const status&)> done) {
  auto* l = cluster_.leader();
  const auto again = [this, what, tries, done](const status& why) {
    const bool hopeless = tries == 0 || why.code == 0 || (why.code == 409 && what.what != member_command::op::promote);
    if (hopeless) return done(why);
    cluster_.w.in(std::chrono::seconds(1), [this, what, tries, done] { ask(what, tries - 1, done); });
  };
  if (!l) return again(errors::unavailable("no leader"));
  cluster_.command(*l, what, [this, again](const status& s) { cluster_.w.in(instant{0}, [again, s] { again(s); }); });
}

void nemesis::transfer() {
  if (voters_.empty()) return;
  const auto to = random_.pick(voters_);
  note("transfer leadership to " + std::to_string(to.v));
  ask({member_command::op::transfer, to}, 0, [](const status&) {});
}

void nemesis::change_members() {
  if (changing_ || !damaged_.empty() || voters_.empty()) return;
  const auto most = cluster_.form.masters + 2;
  const auto dice = random_.below(3);
  if (dice == 0 && voters_.size() > 3) return shrink();
  if (dice == 1 && voters_.size() < most) return grow(false);
  if (voters_.size() < most) return grow(true);
  shrink();
}

/// What was seen of the group is of before.
void nemesis::changed() {
  changing_ = false;
  same_looks_ = 0;
}

void nemesis::grow(bool then_shrink) {
  changing_ = true;
  auto& m = cluster_.add_joining();
  const auto id = m.id();
  note("add " + std::to_string(id.v));
  ask({member_command::op::add_learner, id}, command_tries, [this, id, then_shrink](const status& added) {
    // 409: an earlier try, whose answer was lost, had done it. The promotion tells.
    if (added.code != 0 && added.code != 409) return changed();
    ask({member_command::op::promote, id}, command_tries, [this, then_shrink](const status&) {
      changed();
      if (then_shrink && !calm_) shrink();
    });
  });
}

void nemesis::shrink() {
  if (voters_.size() <= 3 || changing_) return;
  changing_ = true;
  const auto who = random_.pick(voters_);
  note("remove " + std::to_string(who.v));
  ask({member_command::op::remove, who}, command_tries, [this, who](const status& s) {
    changed();
    if (s.code == 0) gone_.insert(who);
  });
}

void nemesis::look_at_members() {
  auto* l = cluster_.leader();
  if (!l || looking_) return;
  looking_ = true;
  cluster_.w.system().spawn([this, target = l->raft().raft](caf::event_based_actor* self) {
    self->request(target, look_patience, get_state_copy::value)
        .then(
            [this](const state_copy_ptr& copy) {
              looking_ = false;
              if (!copy->view || copy->at.index < known_at_) return;
              known_at_ = copy->at.index;
              voters_ = copy->config.voters;
              auto all = raft::all_members(copy->config);
              same_looks_ = all == known_ ? same_looks_ + 1 : 0;
              known_ = std::move(all);
            },
            [this](caf::error&) { looking_ = false; });
  });
}

/// Who was removed, or never got in, is shut down for good; its number is never used again. What a leader says may yet
/// be taken back: only an acknowledged removal counts, or, when all is calm, what it has said for a while.
void nemesis::retire_strangers() {
  if (changing_ || known_.empty()) return;
  for (auto& m : cluster_.masters) {
    const auto id = m->id();
    if (retired_.contains(id) || std::find(known_.begin(), known_.end(), id) != known_.end()) continue;
    if (calm_ ? same_looks_ < looks_to_believe : !gone_.contains(id)) continue;
    if (!calm_ && random_.below(20) != 0) continue; // it may disturb the others for a while first
    note("retire " + std::to_string(id.v));
    retired_.insert(id);
    m->crash();
  }
}

} // namespace troupe::sim
