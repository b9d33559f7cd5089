#include "actors/apiserver/api_actor.hpp"

#include "actors/apiserver/authorize.hpp"
#include "actors/apiserver/freshness.hpp"
#include "actors/apiserver/limits.hpp"
#include "actors/apiserver/read.hpp"
#include "actors/apiserver/scale.hpp"
#include "actors/apiserver/write.hpp"
#include "actors/support/clock.hpp"
#include "actors/support/component.hpp"

#include <caf/actor_system.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <random>
#include <unordered_map>

namespace troupe::apiserver {

namespace {

using write_tick = caf::atom_constant<caf::atom("writetick")>;
using state_fresh = caf::atom_constant<caf::atom("statefresh")>;
using inner_actor =
    api_actor::extend<caf::reacts_to<write_tick>, caf::reacts_to<state_fresh, std::uint64_t, status_ptr>>;
using answer_fn = std::function<void(response_ptr)>;

struct pending_write {
  request_ptr req;
  answer_fn done;
  target t;
  answer how = answer::fixed;
  int code = 200;
  int attempt = 0;
  bool more = false, dry_run = false;
  bool fresh = false; // planned on a state that is not older than the request
  response fixed;
  std::vector<std::string> warnings;
  std::vector<store::object_ptr> step, collected;
  std::chrono::steady_clock::time_point begun;
};

std::uint64_t random_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) ^ device();
}

result<bool> read_dry_run(const request& r) {
  const auto text = r.param("dryRun");
  if (text.empty()) return false;
  if (text == "All") return true;
  const char* kind = r.what == verb::update   ? "UpdateOptions"
                     : r.what == verb::patch  ? "PatchOptions"
                     : r.what == verb::create ? "CreateOptions"
                                              : "DeleteOptions";
  return errors::invalid(kind, "meta.k8s.io", "",
                         {field::not_supported("dryRun", json::value(std::string(text)), {"All"})});
}

/// Whether a refusal follows from the request alone, whatever the state is.
bool of_request_alone(int code) { return code == 400 || code == 405 || code == 406 || code == 413 || code == 415; }

/// Access reviews need not see the last change of a rule; everything else is about what is stored.
bool asks_state(const target& t) { return t.res->stored || t.res->plural == "bindings"; }

/// What the log says about a write that did not reach it, or may not have, as a client is told.
status told(status e) {
  if ((e.code == 429 || e.code == 503) && e.retry_after_s == 0) e.retry_after_s = 1;
  return e;
}

struct api_state {
  inner_actor::pointer self = nullptr;
  services_ptr s;
  counters_ptr counters;
  random_source random{random_seed()};
  std::unordered_map<std::uint64_t, pending_write> waiting;
  std::unordered_map<std::uint64_t, std::function<void(const status&)>> parked; // until the state is fresh enough
  std::uint64_t next_ticket = 1;
  bool ticking = false;
  txn_sink_actor sink;

  static inline const char* name = "api";

  sys_micros now() const { return wall_now(self->clock()); }

  void handle(const request_ptr& req, answer_fn done) {
    if (req->what == verb::get || req->what == verb::list) return read(req, std::move(done));
    if (req->what == verb::watch || req->what == verb::connect)
      return done(refuse(errors::bad_request("streams are opened at the HTTP front")));
    if (auto out = out_of_service(*s); out.code != 0) return done(refuse(out));
    if (waiting.size() + parked.size() >= limits::pending_writes_max)
      return done(refuse(errors::too_many_requests("too many writes wait for the log, please try again later", 1)));
    pending_write w;
    w.req = req;
    w.done = std::move(done);
    w.begun = self->clock().now();
    const auto state = s->view();
    auto t = resolve(*req);
    if (auto ok = authorize(*s, *req, to_string(req->what), *state); !ok) return w.done(refuse(ok.error()));
    if (!t) return w.done(refuse(t.error()));
    w.t = *t;
    auto dry = read_dry_run(*req);
    if (!dry) return w.done(refuse(dry.error()));
    w.dry_run = *dry;
    attempt(std::move(w), state);
  }

  void attempt(pending_write w, const store::view_ptr& state) {
    const write_env e{*s, *w.req, w.t, *state, now(), random, w.dry_run, w.attempt};
    auto plan = guarded_plan(e);
    // What is refused, or found to be so already, was decided by reading alone: that must not rest on an old state.
    // What is written needs no such care: its compares are checked where it is applied.
    const bool decided = plan ? plan->empty() : !of_request_alone(plan.error().code);
    if (decided && !w.fresh && asks_state(w.t) && !s->alone()) return attempt_later(std::move(w));
    if (!plan) return w.done(refuse(plan.error()));
    w.how = plan->how;
    w.code = plan->code;
    w.fixed = std::move(plan->fixed);
    w.warnings = std::move(plan->warnings);
    w.more = plan->more;
    w.step = std::move(plan->collected);
    if (plan->empty()) return finish(w, {});
    plan->change.fence_term = w.req->fence_term;
    auto p = std::make_shared<propose>();
    p->ticket = next_ticket++;
    p->change = std::move(plan->change);
    waiting.emplace(p->ticket, std::move(w));
    s->counted.writes_waiting.fetch_add(1, std::memory_order_relaxed);
    self->send(s->options.raft, std::move(p), sink);
    arm_tick();
  }

  void attempt_later(pending_write w) {
    auto held = std::make_shared<pending_write>(std::move(w));
    park({freshness::kind::newest, 0}, [this, held](const status& passed) {
      if (passed.code != 0) return held->done(refuse(passed));
      held->fresh = true;
      attempt(std::move(*held), s->view());
    });
  }

  void read(const request_ptr& req, answer_fn done) {
    if (fresh_now(*s, *req)) return done(answer_read(*s, *req, s->view(), now()));
    park(freshness_of(*req), [this, req, done = std::move(done)](const status& passed) {
      done(passed.code != 0 ? refuse(passed) : answer_read(*s, *req, s->view(), now()));
    });
  }

  /// `go` runs here when the state is fresh enough, or certain not to become so.
  void park(freshness f, std::function<void(const status&)> go) {
    const auto id = next_ticket++;
    parked.emplace(id, std::move(go));
    wait_until_fresh(s, f, [weak = caf::weak_actor_ptr{self->ctrl()}, id](const status& passed) {
      if (auto strong = caf::actor_cast<caf::strong_actor_ptr>(weak))
        caf::anon_send(caf::actor_cast<inner_actor>(strong), state_fresh::value, id,
                       std::make_shared<const status>(passed));
    });
  }

  void unpark(std::uint64_t id, const status& passed) {
    auto it = parked.find(id);
    if (it == parked.end()) return;
    auto go = std::move(it->second);
    parked.erase(it);
    go(passed);
  }

  /// No input may take the process down, whatever a library thinks of it.
  static result<write_plan> guarded_plan(const write_env& e) {
    try {
      return plan_write(e);
    } catch (const std::exception& x) {
      return errors::internal(x.what());
    }
  }

  void applied(txns_done& batch) {
    store::view_ptr state;
    for (auto& [ticket, result] : batch.items) {
      auto it = waiting.find(ticket);
      if (it == waiting.end()) continue;
      auto w = std::move(it->second);
      waiting.erase(it);
      s->counted.writes_waiting.fetch_sub(1, std::memory_order_relaxed);
      if (result.error.code != 0) {
        w.done(refuse(told(std::move(result.error))));
      } else if (result.ok) {
        finish(w, result);
      } else if (++w.attempt >= limits::write_attempts_max) {
        w.done(refuse(errors::modified(name_of(*w.t.res), w.req->name)));
      } else {
        s->counted.conflicts_retried.fetch_add(1, std::memory_order_relaxed);
        w.step.clear();
        w.fresh = true; // it was applied here, so this member has seen everything before it
        if (!state) state = s->view();
        attempt(std::move(w), state);
      }
    }
  }

  void finish(pending_write& w, const store::txn_result& r) {
    std::move(w.step.begin(), w.step.end(), std::back_inserter(w.collected));
    w.step.clear();
    if (w.more) {
      ++w.attempt;
      if (w.attempt > 100000) return w.done(refuse(errors::internal("the collection does not end")));
      return attempt(std::move(w), s->view());
    }
    auto out = std::make_shared<response>(answer_of(w, r));
    add_warnings(*out, w.warnings);
    w.done(std::move(out));
  }

  response answer_of(pending_write& w, const store::txn_result& r) {
    if (w.how == answer::fixed) return std::move(w.fixed);
    if (w.how == answer::collected) return list_of(w);
    response out;
    if (r.written.empty()) {
      out.code = 500;
      out.error = std::make_shared<const status>(errors::internal("the store returned no object"));
      return out;
    }
    const auto& o = r.written.front();
    if (w.how == answer::written_scale) {
      out.body = json::serialize(scale_of(*w.t.res, o->parse())) + "\n";
      return out;
    }
    // A Table is for reading; a client that asks for one on a write gets what it wrote all the same.
    const auto form = negotiate(w.req->accept);
    auto shown = show(*w.t.res, *w.t.stored, o, form ? *form : wanted_form{}, *w.req, now());
    if (!shown) return *refuse(shown.error());
    shown->code = w.code;
    return std::move(*shown);
  }

  response list_of(pending_write& w) {
    response out;
    out.body = R"({"kind":")" + w.t.res->list_kind + R"(","apiVersion":")" + w.t.res->api_version +
               R"(","metadata":{"resourceVersion":")" + std::to_string(s->view()->rev()) + R"("},"items":[)";
    bool first = true;
    for (const auto& o : w.collected) {
      if (!std::exchange(first, false)) out.body.push_back(',');
      out.body.append(o->bytes);
    }
    out.body.append("]}\n");
    return out;
  }

  void arm_tick() {
    if (ticking) return;
    ticking = true;
    self->delayed_send(self, std::chrono::seconds(1), write_tick::value);
  }

  void tick() {
    ticking = false;
    const auto late = self->clock().now() - limits::write_timeout_max;
    for (auto it = waiting.begin(); it != waiting.end();) {
      if (it->second.begun > late) {
        ++it;
        continue;
      }
      auto w = std::move(it->second);
      it = waiting.erase(it);
      s->counted.writes_waiting.fetch_sub(1, std::memory_order_relaxed);
      w.done(refuse(errors::timeout("the request did not complete in time; whether it took effect is not known")));
    }
    if (!waiting.empty()) arm_tick();
  }
};

inner_actor::behavior_type api_behavior(inner_actor::stateful_pointer<api_state> self, services_ptr s,
                                        counters_ptr counters) {
  auto& st = self->state;
  st.self = self;
  st.s = std::move(s);
  if (st.s->seed != 0) st.random = random_source(st.s->seed);
  st.counters = std::move(counters);
  st.sink = caf::actor_cast<txn_sink_actor>(inner_actor(self));
  return {
      [self](const api_call_ptr& call) {
        if (self->state.counters) self->state.counters->touch(self);
        self->state.handle(call->req, call->done);
      },
      [self](const request_ptr& req) {
        if (self->state.counters) self->state.counters->touch(self);
        auto promise = self->make_response_promise<response_ptr>();
        self->state.handle(req, [promise](response_ptr r) mutable { promise.deliver(std::move(r)); });
        return promise;
      },
      [self](const txns_done_ptr& batch) { self->state.applied(*batch); },
      [self](write_tick) { self->state.tick(); },
      [self](state_fresh, std::uint64_t id, const status_ptr& passed) { self->state.unpark(id, *passed); },
  };
}

} // namespace

api_actor spawn_api_actor(caf::actor_system& sys, services_ptr s, unsigned index) {
  counters_ptr counters;
  if (s->options.board) counters = s->options.board->enter("node/api/" + std::to_string(index));
  return caf::actor_cast<api_actor>(sys.spawn(api_behavior, std::move(s), std::move(counters)));
}

} // namespace troupe::apiserver
