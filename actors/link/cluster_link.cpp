#include "actors/link/cluster_link.hpp"

#include "actors/link/cluster_link_core.hpp"
#include "actors/link/master_sessions.hpp"
#include "actors/link/mirror.hpp"
#include "actors/support/component.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <spdlog/spdlog.h>

#include <unordered_map>

namespace troupe::link {

namespace {

/// What the i/o thread tells the actor of one session.
struct link_event {
  std::uint64_t session = 0;
  std::variant<welcome, message, std::string> what; // it stands; a message of `bytes`; why it is over
  frame_link_ptr link;                              // with welcome and message
  std::size_t bytes = 0;
};
struct dial_failure {
  std::string why;
};
using link_event_ptr = std::shared_ptr<link_event>;
using dial_failure_ptr = std::shared_ptr<const dial_failure>;
using link_tick = caf::atom_constant<caf::atom("linktick")>;

} // namespace
} // namespace troupe::link

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::link::link_event_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::link::dial_failure_ptr)

namespace troupe::link {
namespace {

using inner_actor =
    api_actor::extend<caf::reacts_to<link_event_ptr>, caf::reacts_to<dial_failure_ptr>, caf::reacts_to<link_tick>>;

/// What the actor and its sessions share.
class shared_link final : public cluster_link, public std::enable_shared_from_this<shared_link> {
public:
  shared_link(caf::actor_system& sys, const cluster_link_options& o)
      : sessions_(std::make_shared<master_sessions>(
            sys, master_sessions_options{"cluster-link", o.tls, o.node_name, o.cluster_id, o.is_master})) {}
  ~shared_link() override { stop(); }

  void open(inner_actor me, const std::vector<master_address>& masters) {
    master_sessions_events e;
    e.opened = [me](std::uint64_t id, welcome w, frame_link_ptr link) {
      tell(me, {id, std::move(w), std::move(link), 0});
    };
    e.said = [me](std::uint64_t id, message m, frame_link_ptr link, std::size_t bytes) {
      tell(me, {id, std::move(m), std::move(link), bytes});
    };
    e.over = [me](std::uint64_t id, const std::string& why) { tell(me, {id, why, nullptr, 0}); };
    e.failed = [me](const master_address&, const std::string& why) {
      caf::anon_send(me, dial_failure_ptr{std::make_shared<const dial_failure>(dial_failure{why})});
    };
    sessions_->tell(std::move(e));
    {
      std::lock_guard lock(mutex_);
      actor_ = std::move(me);
    }
    sessions_->dial(masters);
  }

  void serve(kubelet_actor door) override { sessions_->serve(std::move(door)); }

  void on_start_over(std::function<void()> tell) override {
    bool missed = false;
    {
      std::lock_guard lock(mutex_);
      missed = std::exchange(missed_, false);
      start_over_ = tell;
    }
    if (missed) tell();
  }
  void started_over() {
    std::function<void()> tell;
    {
      std::lock_guard lock(mutex_);
      tell = start_over_;
      missed_ = !tell;
    }
    if (tell) tell();
  }

  cluster_link_status status() const override {
    std::lock_guard lock(mutex_);
    return status_;
  }
  void set_status(cluster_link_status s) {
    std::lock_guard lock(mutex_);
    status_ = std::move(s);
  }

  void stop() override {
    sessions_->stop();
    inner_actor me;
    {
      std::lock_guard lock(mutex_);
      me = std::exchange(actor_, inner_actor{});
      start_over_ = nullptr;
    }
    if (me) caf::anon_send_exit(me, caf::exit_reason::user_shutdown);
  }

  /// The masters have said where they are.
  void learn(const std::vector<master_address>& masters) {
    if (!masters.empty()) sessions_->dial(masters);
  }

private:
  static void tell(const inner_actor& me, link_event e) {
    caf::anon_send(me, std::make_shared<link_event>(std::move(e)));
  }

  const std::shared_ptr<master_sessions> sessions_;
  mutable std::mutex mutex_;
  inner_actor actor_;
  cluster_link_status status_;
  std::function<void()> start_over_;
  bool missed_ = false; // it happened, and nobody was told
};

// ---------------------------------------------------------------- actor

struct link_state {
  static inline const char* name = "cluster-link";
  inner_actor::pointer self = nullptr;
  std::string node;
  std::weak_ptr<shared_link> shared;
  counters_ptr counters;
  std::shared_ptr<std::promise<void>> ready;
  std::optional<cluster_link_core> core;
  std::shared_ptr<mirror> copy;
  std::unordered_map<std::uint64_t, frame_link_ptr> links; // by session
  std::unordered_map<std::uint64_t, std::function<void(response_ptr)>> callers;
  std::uint64_t next_ticket = 1, starts_over = 0;
  std::string told_failure, told_active;

  auto now() const { return self->clock().now(); }

  void perform(cluster_link_core::effects& all) {
    for (std::size_t i = 0; i < all.size(); ++i) { // what is carried out may add more
      auto e = std::move(all[i]);
      if (auto* m = std::get_if<cluster_link_core::to_master>(&e))
        write(*m, all);
      else if (auto* c = std::get_if<cluster_link_core::to_caller>(&e))
        answer_caller(*c);
    }
    report();
  }

  void write(const cluster_link_core::to_master& m, cluster_link_core::effects& more) {
    auto it = links.find(m.session);
    if (it == links.end()) return;
    auto frame = encode_frame(m.what);
    const auto* c = std::get_if<call>(&m.what);
    if (c && frame.size() - 4 > limits::link::object_frame_bytes_max) {
      auto r = std::make_shared<response>();
      r->error = std::make_shared<const ::troupe::status>(errors::too_large("the request is larger than 2 MiB"));
      r->code = r->error->code;
      return core->answered(m.session, c->id, r, more);
    }
    it->second->send(std::move(frame)); // a closed link is told as lost
  }

  void answer_caller(const cluster_link_core::to_caller& c) {
    auto it = callers.find(c.ticket);
    if (it == callers.end()) return;
    auto done = std::move(it->second);
    callers.erase(it);
    done(c.what);
  }

  void ask(const request_ptr& r, std::function<void(response_ptr)> done) {
    const auto ticket = next_ticket++;
    component as = component::self;
    if (r->who.user == "system:kube-proxy")
      as = component::proxy;
    else if (r->who.user == "system:troupe-dns")
      as = component::dns;
    else if (r->who.user != "system:node:" + node) {
      auto no = std::make_shared<response>();
      no->error = std::make_shared<const ::troupe::status>(
          errors::forbidden({r->group, r->plural}, r->name, "user \"" + r->who.user + "\" does not act on this node"));
      no->code = no->error->code;
      return done(no);
    }
    callers.emplace(ticket, std::move(done));
    cluster_link_core::effects out;
    core->ask(ticket, as, r, now(), out);
    perform(out);
  }

  void on_event(link_event& e) {
    cluster_link_core::effects out;
    if (auto* w = std::get_if<welcome>(&e.what)) {
      links[e.session] = e.link;
      component_log("link")->info("connected to master {}", w->master);
      if (auto s = shared.lock()) s->learn(w->masters);
      core->opened(e.session, w->master, w->state, now(), out);
    } else if (auto* why = std::get_if<std::string>(&e.what)) {
      component_log("link")->warn("a session with a master ended: {}", *why);
      links.erase(e.session);
      core->lost(e.session, *why, now(), out);
    } else {
      on_message(e, std::get<message>(e.what), out);
      e.link->release(e.bytes);
    }
    perform(out);
  }

  void on_message(const link_event& e, message& m, cluster_link_core::effects& out) {
    if (auto* a = std::get_if<answer>(&m)) return core->answered(e.session, a->id, std::move(a->res), out);
    if (auto* s = std::get_if<master_state>(&m)) return core->state(e.session, *s, now(), out);
    if (auto* l = std::get_if<masters_list>(&m)) {
      if (auto s = shared.lock()) s->learn(l->masters);
      return;
    }
    if (auto* s = std::get_if<start_over>(&m)) {
      if (core->start_over(e.session, *s, now(), out)) forget(*s);
      return;
    }
    if (auto* b = std::get_if<feed_begin>(&m)) {
      if (core->feed_begun(e.session, *b)) copy->begin();
    }
    if (!core->following(e.session)) return;
    if (auto r = take(m); !r) {
      core->mistrust();
      return e.link->close(r.error().message);
    }
    core->took(e.bytes, copy->cursor(), out);
  }

  /// Containers and rules stay as they are until the new state is here.
  void forget(const start_over& m) {
    component_log("link")->warn("master {}: this node has seen revision {}, but the state of the cluster was put back: "
                                "its present history began at {} and stands at {}; everything is read anew",
                                core->active_name(), copy->state()->current()->rev(), m.since, m.now);
    copy->start_over();
  }

  result<void> commit(const feed_commit& m) {
    const bool anew = copy->starting_over();
    auto done = copy->on(m);
    if (!done) return done;
    if (ready) std::exchange(ready, nullptr)->set_value();
    if (!anew) return done;
    ++starts_over;
    if (auto s = shared.lock()) s->started_over();
    return done;
  }

  result<void> take(message& m) {
    if (auto* t = std::get_if<table_begin>(&m)) return copy->on(*t);
    if (auto* t = std::get_if<table_objects>(&m)) return copy->on(std::move(*t));
    if (auto* t = std::get_if<table_end>(&m)) return copy->on(*t);
    if (auto* t = std::get_if<feed_events>(&m)) return copy->on(std::move(*t));
    if (auto* c = std::get_if<feed_commit>(&m)) return commit(*c);
    return {};
  }

  void on_failure(const std::string& why) {
    if (why != told_failure) component_log("link")->warn("{}", why);
    told_failure = why;
    core->failed(why);
    report();
  }

  void on_tick() {
    self->delayed_send(self, core->idle() ? limits::link::idle_tick : limits::link::loop_tick, link_tick::value);
    cluster_link_core::effects out;
    core->tick(now(), out);
    if (!out.empty()) perform(out);
  }

  void report() {
    auto s = shared.lock();
    if (!s) return;
    cluster_link_status st;
    st.active = core->active_name();
    st.open = core->open_names();
    st.last_failure = core->last_failure();
    st.switches = core->switches();
    st.relists = copy->relists();
    st.starts_over = starts_over;
    st.calls_waiting = core->calls();
    if (st.active != told_active && !st.active.empty())
      component_log("link")->info("master {} is asked now", st.active);
    told_active = st.active;
    s->set_status(std::move(st));
  }

  void stop(const caf::error& why) {
    cluster_link_core::effects out;
    core->stop(out);
    perform(out);
    links.clear();
    self->quit(why);
  }
};

inner_actor::behavior_type link_behavior(inner_actor::stateful_pointer<link_state> self, std::string node,
                                         std::shared_ptr<mirror> copy, std::shared_ptr<std::promise<void>> ready,
                                         counters_ptr counters, std::weak_ptr<shared_link> shared) {
  auto& st = self->state;
  st.self = self;
  st.node = std::move(node);
  st.copy = std::move(copy);
  st.shared = std::move(shared);
  st.ready = std::move(ready);
  st.counters = std::move(counters);
  st.core.emplace(std::hash<std::string>{}(st.node));
  self->set_exit_handler([self](caf::exit_msg& e) { self->state.stop(e.reason); });
  self->delayed_send(self, limits::link::loop_tick, link_tick::value);
  auto touch = [self] {
    if (self->state.counters) self->state.counters->touch(self);
  };
  return {
      [self, touch](const api_call_ptr& c) {
        touch();
        self->state.ask(c->req, c->done);
      },
      [self, touch](const request_ptr& r) {
        touch();
        auto promise = self->make_response_promise<response_ptr>();
        self->state.ask(r, [promise](response_ptr got) mutable { promise.deliver(std::move(got)); });
        return promise;
      },
      [](const txns_done_ptr&) {},
      [self, touch](const link_event_ptr& e) {
        touch();
        self->state.on_event(*e);
      },
      [self](const dial_failure_ptr& f) { self->state.on_failure(f->why); },
      [self](link_tick) { self->state.on_tick(); },
  };
}

} // namespace

result<cluster_link_handles> spawn_cluster_link(caf::actor_system& sys, cluster_link_options options) {
  if (options.masters.empty()) return errors::bad_request("a worker needs the address of at least one master");
  if (options.node_name.empty()) return errors::bad_request("a worker needs a name");
  cluster_link_handles out;
  auto ready = std::make_shared<std::promise<void>>();
  out.ready = ready->get_future().share();
  counters_ptr counters;
  if (options.board) counters = options.board->enter("node/cluster-link");
  auto copy = std::make_shared<mirror>();
  out.state = copy->state();
  out.hub = copy->hub();
  auto node = options.node_name;
  auto shared = std::make_shared<shared_link>(sys, options);
  inner_actor actor = sys.spawn(link_behavior, std::move(node), std::move(copy), std::move(ready), std::move(counters),
                                std::weak_ptr<shared_link>(shared));
  out.api = caf::actor_cast<api_actor>(actor);
  shared->open(std::move(actor), options.masters);
  out.link = std::move(shared);
  return out;
}

} // namespace troupe::link
