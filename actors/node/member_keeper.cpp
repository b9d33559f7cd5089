#include "actors/node/member_keeper.hpp"

#include "actors/node/member_answers.hpp"
#include "actors/raft/group_board.hpp"
#include "actors/support/clock.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <spdlog/spdlog.h>

#include <map>
#include <random>

namespace troupe::node {

namespace {

constexpr std::string_view orders_table = "orders.troupe.io";
constexpr std::chrono::seconds raft_patience{15};

using look_again = caf::atom_constant<caf::atom("lookagain")>;
using look_tick = caf::atom_constant<caf::atom("looktick")>;
using keeper_actor =
    members_actor::extend<caf::reacts_to<txns_done_ptr>, caf::reacts_to<look_again>, caf::reacts_to<look_tick>>;
using promise_type = caf::typed_response_promise<response_ptr>;

/// One order on its way. On the leader it is carried out; elsewhere its row is watched for the leader's answer.
struct open_order {
  member_order order;
  std::optional<promise_type> promise; // of whoever asked here; none: it came by its row
  caf::actor_clock::time_point until;
  bool sent = false;  // follower: its row is written, or being written
  bool begun = false; // leader: the directory says what is wanted
  bool busy = false;  // a write or a command of it is under way
};

struct keeper_state {
  static inline const char* name = "members";

  keeper_actor::pointer self = nullptr;
  member_keeper_options options;
  counters_ptr counters;
  std::shared_ptr<spdlog::logger> log;
  std::shared_ptr<void> subscribed;
  std::unique_ptr<store::subscription> masters_sub, orders_sub;

  std::string life; // makes this life's order names its own
  std::uint64_t next_order = 1, next_ticket = 1;
  std::map<std::string, open_order> open;
  std::map<std::uint64_t, std::function<void(const store::txn_result&)>> writing;
  bool asking = false, stepping = false, ticking = false, work = true;

  // ---- plumbing

  void write(store::txn change, std::uint64_t fence, std::function<void(const store::txn_result&)> then) {
    auto p = std::make_shared<propose>();
    p->ticket = next_ticket++;
    p->change = std::move(change);
    p->change.fence_term = fence;
    writing.emplace(p->ticket, std::move(then));
    self->send(options.raft, std::move(p), caf::actor_cast<txn_sink_actor>(keeper_actor(self)));
  }

  void written(const txns_done& batch) {
    for (const auto& [ticket, r] : batch.items) {
      auto it = writing.find(ticket);
      if (it == writing.end()) continue;
      auto then = std::move(it->second);
      writing.erase(it);
      then(r);
    }
    settle();
  }

  void tick_soon() {
    if (std::exchange(ticking, true)) return;
    self->delayed_send(self, limits::keeper_period, look_tick::value);
  }

  store::view_ptr view() const { return options.state->current(); }
  std::uint64_t fence() const { return options.group->now().term.v; }

  // ---- orders come in

  promise_type take(const member_order& o) {
    auto promise = self->make_response_promise<response_ptr>();
    if (o.what == member_order::op::add && !options.growth_refusal.empty()) {
      promise.deliver(refused({409, "Conflict", options.growth_refusal}));
      return promise;
    }
    if (open.size() >= limits::orders_max) {
      promise.deliver(refused(errors::too_many_requests("too many orders about the masters wait already", 1)));
      return promise;
    }
    open_order one;
    one.order = o;
    one.promise = promise;
    one.until = self->clock().now() + limits::order_patience;
    open.emplace(life + "-" + std::to_string(next_order++), std::move(one));
    work = true;
    settle();
    return promise;
  }

  void settle() {
    const auto rev = view()->rev(); // what comes after it wakes us again
    const auto now = options.group->now();
    if (now.serving)
      lead();
    else
      follow(now);
    arm(rev);
  }

  void arm(store::revision rev) {
    masters_sub->arm(rev);
    orders_sub->arm(rev);
    if (!open.empty() || work) tick_soon();
  }

  /// Answers and forgets it. An order that came by its row is answered in the row.
  void finish(const std::string& id, response_ptr answer) {
    auto it = open.find(id);
    if (it == open.end()) return;
    auto one = std::move(it->second);
    open.erase(it);
    if (one.promise) one.promise->deliver(answer);
    answer_row(id, *answer, one.promise.has_value());
  }

  void answer_row(const std::string& id, const response& answer, bool asked_here) {
    const store::object_key key{std::string(orders_table), "", id};
    const auto row = view()->get(key.table, "", id);
    if (!row) return;
    store::txn t;
    t.compares.push_back({key, row->mod});
    if (asked_here) {
      t.erases.push_back({key});
    } else {
      auto doc = row->parse();
      jq::at(doc, {"answer", "code"}) = answer.code;
      jq::at(doc, {"answer", "body"}) = answer.error ? answer.error->to_bytes() : answer.body;
      t.puts.push_back({key, json::serialize(doc)});
    }
    write(std::move(t), 0, [](const store::txn_result&) {}); // a row that stays is erased when it is old
  }

  // ---- not leading

  void follow(const group_status& now) {
    work = false;
    std::vector<std::pair<std::string, response_ptr>> answered;
    for (auto& [id, one] : open) {
      if (!one.promise) {
        answered.emplace_back(id, nullptr); // the next leader finds its row
        continue;
      }
      if (one.busy) continue;
      if (one.begun && removes(one.order, now.member)) {
        answered.emplace_back(id, goes_on(one.order)); // nobody will tell a member that is taken out
        continue;
      }
      if (one.order.what == member_order::op::list && !now.leader) {
        tell_local(id, one);
        continue;
      }
      if (self->clock().now() >= one.until + limits::answer_slack) {
        answered.emplace_back(id, refused(errors::timeout("the leader of the group did not answer in time; `troupe "
                                                          "master ls` shows what became of it")));
        continue;
      }
      if (auto got = answer_in_row(id))
        answered.emplace_back(id, got);
      else if (!one.sent)
        send_row(id, one);
    }
    for (auto& [id, answer] : answered) {
      if (answer)
        finish(id, std::move(answer));
      else
        open.erase(id);
    }
  }

  bool removes(const member_order& o, store::member_id who) const {
    if (o.what != member_order::op::remove) return false;
    const auto row = find_master(*view(), o.row.name);
    return !row || row->id == who;
  }

  response_ptr answer_in_row(const std::string& id) const {
    const auto row = view()->get(orders_table, "", id);
    if (!row) return nullptr;
    const auto doc = row->parse();
    if (!jq::find(doc, {"answer"})) return nullptr;
    auto r = std::make_shared<response>();
    r->code = static_cast<int>(jq::num(doc, {"answer", "code"}, 500));
    r->body = jq::str(doc, {"answer", "body"});
    return r;
  }

  void send_row(const std::string& id, open_order& one) {
    one.sent = true;
    auto doc = to_json(one.order);
    doc["metadata"] = json::object{{"name", id}};
    doc["at"] = wall_now(self->clock()).time_since_epoch().count();
    const store::object_key key{std::string(orders_table), "", id};
    store::txn t;
    t.compares.push_back({key, 0});
    t.puts.push_back({key, json::serialize(doc)});
    write(std::move(t), 0, [this, id](const store::txn_result& r) {
      if (r.error.code != 0) finish(id, refused(r.error));
    });
  }

  /// Nobody leads: what this member knows by itself.
  void tell_local(const std::string& id, open_order& one) {
    if (std::exchange(one.busy, true)) return;
    self->request(options.raft, raft_patience, get_raft_status::value)
        .then(
            [this, id](const std::string& text) {
              boost::system::error_code ec;
              const auto doc = json::parse(text, ec);
              finish(id, answer_with(200, member_list(*view(), read_report(doc))));
            },
            [this, id](caf::error&) { finish(id, refused(errors::unavailable("the raft actor does not answer"))); });
  }

  // ---- leading

  void lead() {
    take_rows();
    if (asking || (open.empty() && !work)) return;
    asking = true;
    self->request(options.raft, raft_patience, get_raft_status::value)
        .then([this](const std::string& text) { look(text); },
              [this](caf::error&) {
                asking = false;
                tick_soon();
              });
  }

  /// Orders that other masters were given.
  void take_rows() {
    const auto oldest = wall_now(self->clock()) - limits::order_age_max;
    const auto state = view();
    state->scan(orders_table, {}, [&](const store::object_ptr& o) {
      const auto doc = o->parse();
      const sys_micros at{std::chrono::microseconds(jq::num(doc, {"at"}))};
      if (at < oldest) {
        store::txn t;
        t.compares.push_back({{std::string(orders_table), "", o->name}, o->mod});
        t.erases.push_back({{std::string(orders_table), "", o->name}});
        write(std::move(t), fence(), [](const store::txn_result&) {});
        return writing.size() < limits::orders_max;
      }
      if (jq::find(doc, {"answer"}) || open.count(o->name) || open.size() >= limits::orders_max) return true;
      auto order = read_order(doc);
      if (!order) return true;
      open_order one;
      one.order = std::move(*order);
      one.until = self->clock().now() + limits::order_patience;
      open.emplace(o->name, std::move(one));
      return true;
    });
  }

  void look(const std::string& text) {
    asking = false;
    boost::system::error_code ec;
    const auto doc = json::parse(text, ec);
    if (ec || !options.group->now().serving) return settle();
    const auto state = view();
    const auto report = read_report(doc);
    std::vector<std::string> ids;
    for (const auto& [id, one] : open)
      ids.push_back(id);
    for (const auto& id : ids)
      if (auto it = open.find(id); it != open.end()) advance(id, it->second, *state, report);
    step(next_step(*state, report));
    arm(state->rev());
  }

  void advance(const std::string& id, open_order& one, const store::view& state, const group_report& g) {
    if (one.busy) return;
    if (!one.begun) {
      auto start = begin_order(one.order, id, state, g);
      if (start.refused) return finish(id, refused(std::move(*start.refused)));
      if (start.done) return finish(id, done_answer(one.order, state, g));
      if (start.change) return begin(id, one, std::move(*start.change));
      one.begun = true;
      if (one.order.what == member_order::op::transfer) return hand_over(id, one, state);
    }
    if (fulfilled(one.order, state, g)) return finish(id, done_answer(one.order, state, g));
    if (self->clock().now() < one.until) return;
    finish(id, unheard(one.order, state, g) ? goes_on_unheard(one.order) : goes_on(one.order));
  }

  void begin(const std::string& id, open_order& one, store::txn change) {
    one.busy = true;
    write(std::move(change), fence(), [this, id](const store::txn_result& r) {
      auto it = open.find(id);
      if (it == open.end()) return;
      it->second.busy = false;
      if (r.error.code == 409) return; // of a term that is over: whoever leads begins it again
      if (r.error.code != 0) return finish(id, refused(r.error));
      it->second.begun = r.ok; // otherwise the directory changed meanwhile: looked at again
    });
  }

  void hand_over(const std::string& id, open_order& one, const store::view& state) {
    one.busy = true;
    auto c = std::make_shared<member_command>();
    c->what = member_command::op::transfer;
    if (const auto row = find_master(state, one.order.row.name)) c->who = row->id;
    command(std::move(c), [this, id](const status& s) {
      if (s.code != 0) return finish(id, refused(s));
      const auto it = open.find(id);
      if (it == open.end()) return;
      const auto to = it->second.order.row.name;
      finish(id, answer_with(200, json::object{{"message", (to.empty() ? "another master" : to) + " leads now"}}));
    });
  }

  // ---- towards what the directory wants

  void step(member_step s) {
    work = s.pending;
    if (stepping || s.what == member_step::kind::none) return;
    stepping = true;
    if (s.what == member_step::kind::write)
      return write(std::move(s.change), fence(), [this](const store::txn_result&) { stepping = false; });
    static constexpr member_command::op ops[] = {{},
                                                 member_command::op::add_learner,
                                                 member_command::op::promote,
                                                 member_command::op::remove,
                                                 member_command::op::transfer};
    auto c = std::make_shared<member_command>();
    c->what = ops[static_cast<std::size_t>(s.what)];
    c->who = s.what == member_step::kind::hand_over ? store::member_id{} : s.who;
    command(std::move(c), [this, who = s.who](const status& r) {
      stepping = false;
      if (r.code != 0) log->info("member {}: {}", who.v, r.message);
    });
  }

  void command(member_command_ptr c, std::function<void(const status&)> then) {
    auto shared = std::make_shared<std::function<void(const status&)>>(std::move(then));
    self->request(options.raft, raft_patience, std::move(c))
        .then(
            [this, shared](const status_ptr& s) {
              (*shared)(*s);
              settle();
            },
            [this, shared](caf::error&) {
              (*shared)(errors::timeout("the raft actor did not answer in time"));
              settle();
            });
  }
};

std::string life_of(const member_keeper_options& o) {
  std::random_device device;
  return std::to_string(o.group->now().member.v) + "-" + std::to_string(device());
}

keeper_actor::behavior_type keeper(keeper_actor::stateful_pointer<keeper_state> self, member_keeper_options options) {
  auto& s = self->state;
  s.self = self;
  s.options = std::move(options);
  s.life = life_of(s.options);
  s.log = component_log("members");
  if (s.options.board) s.counters = s.options.board->enter("node/members");
  const auto wake = [weak = caf::weak_actor_ptr{self->ctrl()}] {
    if (auto strong = caf::actor_cast<caf::strong_actor_ptr>(weak))
      caf::anon_send(caf::actor_cast<keeper_actor>(strong), look_again::value);
  };
  s.masters_sub = s.options.hub->subscribe(masters_table, wake);
  s.orders_sub = s.options.hub->subscribe(orders_table, wake);
  s.subscribed = s.options.group->subscribe([wake](const group_status&) { wake(); });
  return {
      [self](const member_order_ptr& o) { return self->state.take(*o); },
      [self](const txns_done_ptr& batch) { self->state.written(*batch); },
      [self](look_again) {
        if (self->state.counters) self->state.counters->touch(self);
        self->state.work = true; // something changed: look once
        self->state.settle();
      },
      [self](look_tick) {
        self->state.ticking = false;
        self->state.settle();
      },
  };
}

} // namespace

members_actor spawn_member_keeper(caf::actor_system& sys, member_keeper_options options) {
  return caf::actor_cast<members_actor>(sys.spawn(keeper, std::move(options)));
}

} // namespace troupe::node
