#include "tests/sim/world.hpp"

#include <caf/scheduled_actor.hpp>
#include <caf/send.hpp>

#include <stdexcept>

namespace troupe::sim {

namespace {
/// More messages than this at one instant: actors keep each other busy for ever.
constexpr std::uint64_t steps_per_instant_max = 3'000'000;
} // namespace

world::config::config() { set("scheduler.policy", caf::atom("testing")); }

world::world(std::uint64_t seed)
    : system_(std::make_unique<caf::actor_system>(config_)),
      jobs_(dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler())), order_(seed, "schedule"),
      places_(1) {
  adopt();
}

world::~world() {
  for (place p = 1; p < places_.size(); ++p)
    end_place(p);
  end_place(0);
  // What timers still hold goes with the clock; nobody is alive to hear it.
  jobs_.clock().cancel_all();
  while (jobs_.try_run_once()) {
  }
}

instant world::now() const { return jobs_.clock().now().time_since_epoch(); }

void world::at(instant when, std::function<void()> what) {
  events_.push({std::max(when, now()), ++next_event_, std::move(what)});
}

place world::open_place() {
  places_.emplace_back();
  return static_cast<place>(places_.size() - 1);
}

caf::actor_id world::id_of(caf::resumable* job) {
  if (job->subtype() != caf::resumable::scheduled_actor) return 0;
  return static_cast<caf::scheduled_actor*>(job)->id();
}

/// New actors belong to the place in which they were spawned; each waits in the queue for its first run.
void world::adopt() {
  const auto latest = system_->latest_actor_id();
  const auto first = place_of_.size();
  if (first > latest) return;
  place_of_.resize(latest + 1, current_);
  auto& s = places_[current_];
  for (auto i = jobs_.jobs.rbegin(); i != jobs_.jobs.rend(); ++i) {
    if ((*i)->subtype() != caf::resumable::scheduled_actor) continue;
    auto* a = static_cast<caf::scheduled_actor*>(*i);
    if (a->id() >= first) s.actors.emplace_back(a->ctrl());
  }
  if (s.actors.size() < s.prune_at) return;
  std::erase_if(s.actors, [](const caf::weak_actor_ptr& w) { return w.lock() == nullptr; });
  s.prune_at = 2 * s.actors.size() + 64;
}

void world::release(place p, caf::actor_id who) {
  for (std::size_t i = 0; i < held_.size();) {
    if (held_[i].where != p || (who != 0 && held_[i].who != who)) {
      ++i;
      continue;
    }
    jobs_.jobs.push_back(held_[i].job);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void world::resume(place p) {
  places_[p].paused = false;
  release(p, 0);
}

void world::delay(place p, caf::actor_id who, std::function<instant()> how_long) {
  auto& s = places_[p];
  s.slow = who;
  s.slow_ready = false;
  s.how_long = std::move(how_long);
}

bool world::held_back(site& s, caf::resumable* job, place p, caf::actor_id id) {
  if (s.paused) {
    held_.push_back({p, id, job});
    return true;
  }
  if (id != s.slow || std::exchange(s.slow_ready, false)) return false;
  const auto wait = s.how_long();
  if (wait <= instant{0}) return false;
  held_.push_back({p, id, job});
  in(wait, [this, p, id] {
    if (places_[p].dead) return;
    places_[p].slow_ready = true;
    release(p, id);
  });
  return true;
}

bool world::step() {
  adopt(); // what an event spawned belongs to the world, not to who runs next
  auto& queue = jobs_.jobs;
  if (queue.empty()) return false;
  if (queue.size() > 1) std::swap(queue.front(), queue[order_.below(queue.size())]);
  auto* job = queue.front();
  const auto id = id_of(job);
  const auto p = id < place_of_.size() ? place_of_[id] : place{0};
  auto& s = places_[p];
  if ((s.paused || id == s.slow) && id != 0 && held_back(s, job, p, id)) {
    queue.pop_front();
    return true;
  }
  current_ = p;
  running_ = id;
  if (on_step) on_step(id);
  jobs_.try_run_once();
  adopt();
  running_ = 0;
  current_ = 0;
  ++steps_;
  while (!doomed_.empty()) {
    const auto next = doomed_.back();
    doomed_.pop_back();
    end_place(next);
  }
  return true;
}

void world::drain() {
  const auto begun = steps_;
  while (step())
    if (steps_ - begun > steps_per_instant_max)
      throw std::runtime_error("livelock: more than " + std::to_string(steps_per_instant_max) +
                               " messages at one instant");
}

void world::kill(place p) {
  if (running_ != 0)
    doomed_.push_back(p);
  else
    end_place(p);
}

/// An exit message overtakes what waits in a mailbox, so nothing else is handled.
void world::end_place(place p) {
  auto& s = places_[p];
  s.dead = true;
  s.paused = false;
  s.slow = 0;
  s.how_long = nullptr;
  release(p, 0);
  for (auto& w : std::exchange(s.actors, {}))
    if (auto a = w.lock()) caf::anon_send_exit(a, caf::exit_reason::kill);
  auto& queue = jobs_.jobs;
  for (std::size_t i = 0; i < queue.size();) {
    const auto id = id_of(queue[i]);
    if (id >= place_of_.size() || place_of_[id] != p) {
      ++i;
      continue;
    }
    std::swap(queue.front(), queue[i]);
    current_ = p;
    jobs_.try_run_once();
    adopt();
    current_ = 0;
    i = 0;
  }
}

instant world::next_due(int& which) const {
  auto next = instant::max();
  which = -3;
  const auto& timers = jobs_.clock().schedule();
  if (!timers.empty()) {
    next = timers.begin()->first.time_since_epoch();
    which = -1;
  }
  if (!events_.empty() && events_.top().when <= next) {
    next = events_.top().when;
    which = -2;
  }
  for (std::size_t i = 0; i < sources_.size(); ++i)
    if (const auto due = sources_[i]->due(); due < next) {
      next = due;
      which = static_cast<int>(i);
    }
  return next;
}

bool world::run_until(instant end, const std::function<bool()>& done) {
  for (;;) {
    drain();
    if (done && done()) return true;
    int which = 0;
    const auto next = next_due(which);
    if (next > end || which == -3) break;
    auto& clock = jobs_.clock();
    if (const caf::actor_clock::time_point t{next}; clock.current_time < t) clock.current_time = t;
    if (which == -1) {
      clock.trigger_timeout();
    } else if (which == -2) {
      auto what = std::move(const_cast<event&>(events_.top()).what);
      events_.pop();
      what();
    } else {
      sources_[static_cast<std::size_t>(which)]->fire();
    }
  }
  jobs_.clock().current_time = std::max(jobs_.clock().current_time, caf::actor_clock::time_point{end});
  return false;
}

void world::run_until(instant end) { run_until(end, {}); }

} // namespace troupe::sim
