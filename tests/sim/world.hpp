// world: virtual time and the only thread: runs actors in an order drawn from the seed, and the world's own events.
// Owner:  one run.
// Units:  virtual nanoseconds since the start of the run.
// Errors: livelock, when actors keep each other busy and time stands still, ends the run with an exception.
// Source: CAF's testing scheduler (its job queue and clock are open to us); ours.
//
// A place is a simulated process: the actors that were spawned inside it or by one of its actors. It can be paused
// (its actors are not run; what is sent to them waits) and killed (they end without handling anything more).
#pragma once

#include "tests/sim/chance.hpp"
#include "tests/sim/history.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <functional>
#include <memory>
#include <queue>
#include <vector>

namespace troupe::sim {

using place = std::uint16_t; // 0: the world itself

/// Something with a calendar of its own, cheaper than events.
class source {
public:
  virtual ~source() = default;
  virtual instant due() const = 0; // instant::max(): nothing waits
  virtual void fire() = 0;         // what is due first
};

class world {
public:
  explicit world(std::uint64_t seed);
  ~world();
  world(const world&) = delete;

  caf::actor_system& system() { return *system_; }
  instant now() const;

  void at(instant when, std::function<void()> what);
  void in(instant after, std::function<void()> what) { at(now() + after, std::move(what)); }
  void add(source* s) { sources_.push_back(s); }

  place open_place();
  place current() const { return current_; }
  /// The id of the actor that runs now; 0: none.
  caf::actor_id running() const { return running_; }
  template <class F>
  auto inside(place p, F f) {
    adopt(); // what was spawned before belongs elsewhere
    const auto before = std::exchange(current_, p);
    struct restore {
      world* w;
      place before;
      ~restore() {
        w->adopt();
        w->current_ = before;
      }
    } guard{this, before};
    return f();
  }

  void pause(place p) { places_[p].paused = true; }
  void resume(place p);
  bool paused(place p) const { return places_[p].paused; }
  /// From within one of its actors: as soon as the message under way is handled.
  void kill(place p);
  /// Before each message of this actor, asks how long it has to wait first.
  void delay(place p, caf::actor_id who, std::function<instant()> how_long);

  /// Runs everything up to and with this instant.
  void run_until(instant end);
  /// Runs until `done` says so, asked at each instant at which something happened, or until `end`.
  bool run_until(instant end, const std::function<bool()>& done);
  std::uint64_t steps() const { return steps_; }
  /// Called before each step with the actor's number; for the running hash.
  std::function<void(caf::actor_id)> on_step;

private:
  struct config : caf::actor_system_config {
    config();
  };
  struct event {
    instant when;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const event& o) const { return when != o.when ? when > o.when : order > o.order; }
  };
  struct held {
    place where;
    caf::actor_id who;
    caf::resumable* job;
  };
  struct site {
    bool paused = false, dead = false;
    caf::actor_id slow = 0; // the actor with the delay
    bool slow_ready = false;
    std::function<instant()> how_long;
    std::vector<caf::weak_actor_ptr> actors;
    std::size_t prune_at = 64;
  };

  void adopt();
  void drain();
  bool step();
  bool held_back(site& s, caf::resumable* job, place p, caf::actor_id id);
  void release(place p, caf::actor_id who);
  void end_place(place p);
  instant next_due(int& which) const;
  static caf::actor_id id_of(caf::resumable* job);

  config config_;
  std::unique_ptr<caf::actor_system> system_;
  caf::scheduler::test_coordinator& jobs_;
  chance order_;
  std::vector<site> places_;
  std::vector<place> place_of_; // by actor id
  std::vector<held> held_;
  std::vector<place> doomed_;
  std::vector<source*> sources_;
  std::priority_queue<event> events_;
  std::uint64_t next_event_ = 0, steps_ = 0;
  place current_ = 0;
  caf::actor_id running_ = 0;
};

} // namespace troupe::sim
