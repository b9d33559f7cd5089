// The actor of bootstrap.hpp: watches the group, writes while this member leads, follows otherwise.
#include "actors/apiserver/bootstrap.hpp"
#include "actors/apiserver/freshness.hpp"
#include "actors/apiserver/limits.hpp"
#include "actors/support/clock.hpp"
#include "actors/support/component.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <spdlog/spdlog.h>

#include <random>

namespace troupe::apiserver {

namespace {

constexpr std::chrono::milliseconds retry_delay{200};
constexpr std::chrono::seconds status_patience{5};

using look_again = caf::atom_constant<caf::atom("lookagain")>;
using look_contact = caf::atom_constant<caf::atom("contact")>;
using leaderless = caf::atom_constant<caf::atom("leaderless")>;
using state_fresh = caf::atom_constant<caf::atom("statefresh")>;
using boot_actor = txn_sink_actor::extend<caf::reacts_to<look_again>, caf::reacts_to<look_contact>,
                                          caf::reacts_to<leaderless, std::uint64_t>, caf::reacts_to<state_fresh, bool>>;

struct boot_state {
  static inline const char* name = "bootstrap";

  boot_actor::pointer self = nullptr;
  services_ptr s;
  random_source random{1};
  std::shared_ptr<spdlog::logger> log;
  std::shared_ptr<void> subscribed;

  std::set<std::uint64_t> open; // proposals under way
  std::uint64_t next_ticket = 1;
  bool failed = false;
  std::uint64_t prepared = 0; // term in which this member, leading, has found everything in place
  bool prepared_once = false, told_ready = false;
  bool own_row_due = true;
  bool asking = false, contact_armed = false, retry_armed = false;
  std::set<store::member_id> down;
  store::member_id last_leader;
  std::uint64_t leaderless_epoch = 0;

  group_status group() const {
    if (s->options.group) return s->options.group->now();
    group_status alone;
    alone.serving = true;
    alone.leader = alone.member = store::member_id{1};
    return alone;
  }

  void settle() {
    const auto now = group();
    note_leader(now);
    if (!open.empty()) return;
    if (now.serving && !(prepared_once && prepared == now.term.v)) return prepare(now);
    if (!now.serving && !s->ready) return follow();
    if (own_row_due && s->ready && correct_own_row()) return;
    if (now.serving) arm_contact(now);
  }

  void note_leader(const group_status& now) {
    if (now.leader == last_leader) return;
    last_leader = now.leader;
    ++leaderless_epoch;
    if (now.leader) {
      s->counted.leader_changes.fetch_add(1, std::memory_order_relaxed);
      s->leaderless = false;
    } else {
      self->delayed_send(self, limits::leaderless_max, leaderless::value, leaderless_epoch);
    }
  }

  // ---- leading

  void prepare(const group_status& now) {
    const auto state = s->view();
    auto plan = plan_bootstrap(*s, *state, wall_now(self->clock()), random);
    if (!plan) {
      log->error("the first objects cannot be made: {}", plan.error().message);
      return again();
    }
    if (plan->empty() && !bootstrapped(*state)) plan->push_back(plan_mark());
    if (!plan->empty()) return propose_all(std::move(*plan), now.term.v);
    prepared = now.term.v;
    prepared_once = true;
    be_ready();
    settle();
  }

  void propose_all(std::vector<store::txn> plan, std::uint64_t term) {
    failed = false;
    for (auto& change : plan) {
      auto p = std::make_shared<propose>();
      p->ticket = next_ticket++;
      p->change = std::move(change);
      p->change.fence_term = term;
      open.insert(p->ticket);
      self->send(s->options.raft, std::move(p), caf::actor_cast<txn_sink_actor>(boot_actor(self)));
    }
  }

  void applied(const txns_done& batch) {
    for (const auto& [ticket, r] : batch.items) {
      if (open.erase(ticket) == 0) continue;
      failed = failed || !r.ok;
      if (r.error.code != 0) log->debug("a bootstrap write was refused: {}", r.error.message);
    }
    if (!open.empty()) return;
    if (std::exchange(failed, false)) return again();
    settle();
  }

  /// One master needs no watching. Of several, the leader looks whom it has heard of.
  void arm_contact(const group_status& now) {
    if (contact_armed || !s->options.group || now.alone) return;
    contact_armed = true;
    self->delayed_send(self, limits::master_contact_period, look_contact::value);
  }

  void contact() {
    contact_armed = false;
    if (!group().serving || asking) return settle();
    asking = true;
    self->request(s->options.raft, status_patience, get_raft_status::value)
        .then([this](const std::string& text) { contacted(text); },
              [this](caf::error&) {
                asking = false;
                settle();
              });
  }

  void contacted(const std::string& text) {
    asking = false;
    boost::system::error_code ec;
    const auto doc = json::parse(text, ec);
    const auto now = group();
    if (ec || !now.serving || !open.empty()) return settle();
    down = members_down(doc);
    auto change = plan_own_endpoints(*s, *s->view(), wall_now(self->clock()), random, down);
    if (change && !(change->puts.empty() && change->erases.empty())) {
      log->info("default/kubernetes changes: {} of the masters are down", down.size());
      std::vector<store::txn> one;
      one.push_back(std::move(*change));
      propose_all(std::move(one), now.term.v);
    }
    settle();
  }

  // ---- following

  /// Ready once this member's state holds all that the group had acknowledged, the first objects among it.
  void follow() {
    if (asking) return;
    asking = true;
    wait_until_fresh(s, {freshness::kind::newest, 0}, [weak = caf::weak_actor_ptr{self->ctrl()}](const status& passed) {
      if (auto strong = caf::actor_cast<caf::strong_actor_ptr>(weak))
        caf::anon_send(caf::actor_cast<boot_actor>(strong), state_fresh::value, passed.code == 0);
    });
  }

  void followed(bool fresh) {
    asking = false;
    if (group().serving) return settle();
    if (!fresh || !bootstrapped(*s->view())) return again();
    be_ready();
    settle();
  }

  void be_ready() {
    s->ready = true;
    if (std::exchange(told_ready, true)) return;
    if (s->options.on_ready) s->options.on_ready();
  }

  /// True while the correction is under way: a write of this member, whoever leads.
  bool correct_own_row() {
    auto own = plan_own_row(*s, *s->view());
    own_row_due = !own.puts.empty();
    if (!own_row_due) return false;
    std::vector<store::txn> one;
    one.push_back(std::move(own));
    propose_all(std::move(one), 0);
    return true;
  }

  void again() {
    if (std::exchange(retry_armed, true)) return;
    self->delayed_send(self, retry_delay, look_again::value);
  }
};

std::uint64_t seed_of(const services& s) {
  if (s.seed != 0) return s.seed;
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) ^ device();
}

boot_actor::behavior_type boot_behavior(boot_actor::stateful_pointer<boot_state> self, services_ptr s) {
  auto& st = self->state;
  st.self = self;
  st.s = std::move(s);
  st.random = random_source(seed_of(*st.s));
  st.log = component_log("apiserver");
  if (st.s->options.group) {
    const caf::weak_actor_ptr weak{self->ctrl()};
    st.subscribed = st.s->options.group->subscribe([weak](const group_status&) {
      if (auto strong = caf::actor_cast<caf::strong_actor_ptr>(weak))
        caf::anon_send(caf::actor_cast<boot_actor>(strong), look_again::value);
    });
  } else {
    st.settle();
  }
  return {
      [self](const txns_done_ptr& batch) { self->state.applied(*batch); },
      [self](look_again) {
        self->state.retry_armed = false;
        self->state.settle();
      },
      [self](look_contact) { self->state.contact(); },
      [self](leaderless, std::uint64_t epoch) {
        auto& me = self->state;
        if (epoch == me.leaderless_epoch) me.s->leaderless = true;
      },
      [self](state_fresh, bool fresh) { self->state.followed(fresh); },
  };
}

} // namespace

caf::actor spawn_bootstrap(caf::actor_system& sys, services_ptr s) {
  return caf::actor_cast<caf::actor>(sys.spawn(boot_behavior, std::move(s)));
}

} // namespace troupe::apiserver
