#include "tests/sim/nemesis.hpp"

#include <algorithm>

namespace troupe::sim {

namespace {
constexpr std::chrono::milliseconds tend_every{500};
constexpr int wall_steps = 50;                   // as far as a steady clock's: up to more than a minute
constexpr std::chrono::seconds repair_takes{10}; // after its state is back, until a member votes again for certain

std::string named(const master& m) { return std::to_string(m.id().v); }
} // namespace

nemesis::nemesis(cluster& c, nemesis_options o) : cluster_(c), options_(o), random_(c.form.seed, "nemesis") {
  const auto add = [&](bool on, unsigned weight, void (nemesis::*what)()) {
    if (on) plans_.push_back({weight, [this, what] { (this->*what)(); }});
  };
  if (o.crashes) {
    plans_.push_back({6, [this] { crash_one(false); }});
    plans_.push_back({6, [this] { crash_one(true); }});
  }
  add(o.crashes, 1, &nemesis::crash_many);
  add(o.pauses, 5, &nemesis::pause_one);
  add(o.disks, 3, &nemesis::slow_disk);
  add(o.disks, 2, &nemesis::full_disk);
  add(o.disks, 2, &nemesis::failing_disk);
  add(o.corruption, 2, &nemesis::corrupt_one);
  add(o.clocks, 2, &nemesis::bend_clock);
  add(o.partitions, 6, &nemesis::split);
  add(o.partitions, 5, &nemesis::cut_one_way);
  add(o.partitions, 4, &nemesis::isolate_leader);
  add(o.bad_links, 5, &nemesis::bad_links);
  add(o.bad_links, 1, &nemesis::storm);
  add(o.transfers, 3, &nemesis::transfer);
  add(o.membership, 5, &nemesis::change_members);
}

void nemesis::start() {
  cluster_.w.in(random_.around(options_.every), [this] { strike(); });
  tend();
}

void nemesis::strike() {
  if (calm_) return;
  unsigned total = 0;
  for (const auto& p : plans_)
    total += p.weight;
  if (total > 0) {
    auto dice = static_cast<unsigned>(random_.below(total));
    for (const auto& p : plans_) {
      if (dice < p.weight) {
        p.strike();
        break;
      }
      dice -= p.weight;
    }
  }
  cluster_.w.in(random_.around(options_.every), [this] { strike(); });
}

void nemesis::later(instant after, std::function<void(nemesis&)> what) {
  cluster_.w.in(after, [this, e = epoch_, what = std::move(what)] {
    if (e == epoch_) what(*this);
  });
}

master* nemesis::victim() {
  auto* l = cluster_.leader();
  if (l && random_.below(3) == 0) return l; // leaders are the more interesting half
  return cluster_.any(random_);
}

// ---------------------------------------------------------------- processes

void nemesis::crash_one(bool at_write) {
  auto* m = victim();
  if (!m) return;
  if (!at_write) {
    note("crash " + named(*m));
    return m->crash();
  }
  auto& mood = m->disk->mood;
  const bool after = random_.below(2) == 0;
  mood.next = after ? disk_mood::crash::after_write : disk_mood::crash::before_write;
  mood.crash_after = static_cast<unsigned>(random_.below(12));
  note("crash " + named(*m) + (after ? " after" : " before") + " its write number " +
       std::to_string(mood.crash_after + 1));
}

void nemesis::crash_many() {
  for (auto* m : cluster_.running()) {
    if (random_.below(3) == 0) continue;
    note("crash " + named(*m) + " with others");
    m->crash();
  }
}

void nemesis::pause_one() {
  auto* m = victim();
  if (!m || m->paused()) return;
  note("pause " + named(*m));
  m->pause();
  later(for_a_while(std::chrono::seconds(3)), [m, life = m->life()](nemesis&) {
    if (m->up() && m->life() == life) m->resume();
  });
}

/// A member that is down comes back after a while: at once when all is calm.
void nemesis::revive(master& m) {
  if (!reviving_.insert(m.id()).second) return;
  const auto wait = calm_ ? instant{std::chrono::milliseconds(100)} : for_a_while(std::chrono::seconds(5));
  cluster_.w.in(wait, [this, &m] {
    reviving_.erase(m.id());
    if (!m.up() && !retired_.contains(m.id())) m.start();
  });
}

void nemesis::tend() {
  for (auto& m : cluster_.masters)
    if (!m->up() && !retired_.contains(m->id())) revive(*m);
  std::erase_if(damaged_, [&](member_id id) {
    const auto* m = cluster_.find(id);
    const auto* l = cluster_.leader();
    const bool whole = m->up() && l && (l == m || m->status().leader == l->id()) && m->disk->damage.empty() &&
                       m->disk->condemned.empty() && m->seen()->applied_index() >= first_intact_[id];
    if (!whole) whole_since_[id] = cluster_.w.now();
    return retired_.contains(id) || (whole && whole_since_[id] + repair_takes <= cluster_.w.now());
  });
  cluster_.tend_workers();
  look_at_members();
  retire_strangers();
  cluster_.w.in(tend_every, [this] { tend(); });
}

void nemesis::heal() {
  calm_ = true;
  ++epoch_;
  cluster_.net.heal();
  for (auto& m : cluster_.masters) {
    m->disk->mood = {};
    m->clock->change(cluster_.w.now(), 1, instant{0});
    m->resume();
  }
  for (auto& n : cluster_.workers)
    *n.wall_off = instant{0};
  known_.clear();
}

// ---------------------------------------------------------------- disks and clocks

void nemesis::slow_disk() {
  auto* m = victim();
  if (!m) return;
  auto& mood = m->disk->mood;
  mood.sync_max = random_.between(std::chrono::milliseconds(20), std::chrono::milliseconds(1500));
  mood.sync_min = mood.sync_max / static_cast<int>(1 + random_.below(10));
  note("slow disk of " + named(*m));
  later(for_a_while(std::chrono::seconds(6)), [m](nemesis&) {
    m->disk->mood.sync_min = disk_mood{}.sync_min;
    m->disk->mood.sync_max = disk_mood{}.sync_max;
  });
}

void nemesis::full_disk() {
  auto hit = cluster_.running();
  std::erase_if(hit, [&](master*) { return random_.below(2) == 0; });
  for (auto* m : hit) {
    note("full disk of " + named(*m));
    m->disk->mood.full = true;
    later(for_a_while(std::chrono::seconds(5)), [m](nemesis&) { m->disk->mood.full = false; });
  }
}

void nemesis::failing_disk() {
  auto* m = victim();
  if (!m) return;
  note("failing disk of " + named(*m));
  m->disk->mood.fails = 0.05 + 0.4 * random_.part();
  later(for_a_while(std::chrono::seconds(5)), [m](nemesis&) { m->disk->mood.fails = 0; });
}

/// At most one member at a time, and only while every voter else still has its data.
void nemesis::corrupt_one() {
  auto* m = victim();
  if (!m || !damaged_.empty() || changing_ || voters_.size() < 3 || retired_.contains(m->id())) return;
  for (const auto id : voters_)
    if (!cluster_.find(id) || cluster_.find(id)->disk->last() == log_index{}) return;
  if (std::find(voters_.begin(), voters_.end(), m->id()) == voters_.end()) return;
  note("corrupt sector on the disk of " + named(*m));
  damaged_.insert(m->id());
  whole_since_[m->id()] = cluster_.w.now();
  first_intact_[m->id()] = std::max(m->disk->last(), m->seen() ? m->seen()->applied_index() : log_index{});
  m->crash();
  m->disk->corrupt();
}

void nemesis::bend_clock() {
  auto* m = victim();
  if (!m) return;
  const double rate = 0.9 + 0.2 * random_.part();
  const auto step = random_.below(3) == 0 ? random_.around(std::chrono::milliseconds(800)) : instant{0};
  note("clock of " + named(*m) + " runs at " + std::to_string(rate) + " and jumps " +
       std::to_string(step.count() / 1000000) + " ms");
  m->clock->change(cluster_.w.now(), rate, step);
  if (step > instant{0} && !cluster_.workers.empty()) set_wall_clock(rate < 1 ? -wall_steps * step : wall_steps * step);
}

/// Wall clocks are set, forwards or back; what judges by time must go by what it saw itself.
void nemesis::set_wall_clock(instant step) {
  auto& n =
      cluster_
          .workers[static_cast<std::size_t>(step.count() < 0 ? -step.count() : step.count()) % cluster_.workers.size()];
  *n.wall_off += step;
  note("wall clock of " + n.name + " is set by " + std::to_string(step.count() / 1000000) + " ms");
}

} // namespace troupe::sim
