#include "actors/link/node_session_feed.hpp"

#include "actors/apiserver/node_authorizer.hpp"
#include "actors/link/node_session_core.hpp"
#include "actors/support/feed.hpp"
#include "store/rescue_mark.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <spdlog/spdlog.h>

#include <deque>

namespace troupe::link {

namespace {

using look_again = caf::atom_constant<caf::atom("lookagain")>;
using bookmark = caf::atom_constant<caf::atom("bookmark")>;
using up_to_date = caf::atom_constant<caf::atom("uptodate")>;
/// More events than this to catch up with: a table is told whole instead.
constexpr std::size_t resume_events_max = 4096;
constexpr std::int64_t credit_max = 64 << 20;
constexpr int rounds_max = 64; // messages and steps of one turn

/// Walks one table of a fixed view, some objects at a time.
class table_walk {
public:
  table_walk(const fed_table& t, bool hidden) : table_(&t), hidden_(hidden) {}

  /// The next message of the table; empty when all has been said.
  std::optional<message> next(const store::view& v, const node_scope& scope) {
    if (!begun_) {
      begun_ = true;
      return message{table_begin{std::string(table_->table)}};
    }
    if (ended_) return std::nullopt;
    table_objects out;
    std::size_t bytes = 0;
    bool more = false;
    auto take = [&](const store::object_ptr& o) {
      if (!scope.sees(*table_, *o)) return true;
      if (!out.objects.empty() && bytes + encoded_size(*o) > limits::link::batch_bytes) return more = true, false;
      bytes += encoded_size(*o);
      out.objects.push_back(o);
      ns_ = o->ns;
      name_ = o->name;
      return true;
    };
    if (!hidden_) v.scan(table_->table, {}, ns_, name_, take);
    if (out.objects.empty()) {
      ended_ = true;
      return message{table_end{}};
    }
    hidden_ = !more; // nothing behind these: the next call says the end
    return message{std::move(out)};
  }

private:
  const fed_table* table_;
  bool hidden_, begun_ = false, ended_ = false;
  std::string ns_, name_;
};

class node_feed {
public:
  static inline const char* name = "troupe.link.feed";
  explicit node_feed(caf::event_based_actor* self) : self_(self) {}

  void open(node_feed_options o) {
    o_ = std::move(o);
    scope_.emplace(o_.node);
    auto wake = feed::waker(self_, 0);
    for (std::size_t i = 0; i < fed_tables.size(); ++i)
      subscriptions_[i] = o_.hub->subscribe(fed_tables[i].table, wake);
    self_->delayed_send(self_, limits::link::feed_bookmark, bookmark::value);
  }

  void on_message(const message& m) {
    if (auto* s = std::get_if<subscribe>(&m)) {
      waiting_.clear();
      walks_.clear();
      credit_ = std::clamp<std::int64_t>(s->credit, 0, credit_max);
      epoch_ = s->epoch;
      begin(s->cursor, s->tables);
    } else if (auto* c = std::get_if<credit>(&m)) {
      credit_ = std::clamp<std::int64_t>(credit_ + std::max<std::int64_t>(c->bytes, 0), -credit_max, credit_max);
    } else if (std::holds_alternative<unsubscribe>(m)) {
      mode_ = mode::idle;
      waiting_.clear();
      walks_.clear();
    }
    pump();
  }

  void pump() {
    for (int round = 0; send_waiting(); ++round) {
      if (round == rounds_max) return self_->send(self_, look_again::value); // others want the thread, too
      switch (mode_) {
      case mode::idle:
      case mode::asking: return;
      case mode::lagging:
        if (!try_begin()) return look_later();
        break;
      case mode::telling: tell_more(); break;
      case mode::live:
        if (!follow()) return;
        break;
      }
    }
  }

  void on_look() {
    looking_ = false;
    if (mode_ == mode::asking) return ask();
    pump();
  }

  /// The answer to the n-th question whether our view holds everything acknowledged.
  void on_up_to_date(std::uint64_t n, bool yes) {
    if (mode_ != mode::asking || n != asked_) return;
    if (!yes) return look_later();
    mode_ = mode::lagging;
    pump();
  }

  /// A cursor must not grow old because nothing happens in the tables of this node.
  void on_bookmark() {
    self_->delayed_send(self_, limits::link::feed_bookmark, bookmark::value);
    if (mode_ == mode::asking) ask(); // whoever should have answered may be gone
    pump();
    if (mode_ == mode::live && waiting_.empty() && cursor_ > told_) {
      waiting_.emplace_back(feed_commit{told_ = cursor_});
      pump();
    }
  }

  void touch() {
    if (o_.counters) o_.counters->touch(self_);
  }

private:
  enum class mode { idle, asking, lagging, telling, live };

  void look_later() {
    if (std::exchange(looking_, true)) return;
    self_->delayed_send(self_, limits::link::feed_lag_check, look_again::value);
  }

  /// True when all that waited is with the link.
  bool send_waiting() {
    while (!waiting_.empty()) {
      if (credit_ <= 0) return false;
      auto frame = encode_frame(waiting_.front());
      credit_ -= static_cast<std::int64_t>(frame.size());
      if (!o_.link->send(std::move(frame))) {
        mode_ = mode::idle;
        waiting_.clear();
        return false;
      }
      waiting_.pop_front();
    }
    return true;
  }

  /// `tables`: what the worker was told until `cursor`; with another set its view would have holes.
  void begin(store::revision cursor, std::uint32_t tables) {
    cursor_ = cursor;
    told_tables_ = tables;
    mode_ = mode::lagging;
    if (!o_.group || (cursor_ > 0 && same_history(cursor_, *o_.state->current()))) return;
    mode_ = mode::asking;
    ask();
  }

  /// A worker that knows nothing takes what it is told first as all there is: told an old state, it would end what the
  /// cluster has started since. So the first state must be the newest. And a worker that has seen more than we have is
  /// ahead of us, or of what the cluster was put back to: only the newest state tells which.
  void ask() {
    caf::actor me{self_};
    o_.group->read_barrier(
        [me, n = ++asked_](const status& s) { caf::anon_send(me, up_to_date::value, n, s.code == 0); });
  }

  /// The worker has seen what did not happen in this history: it is told so, and comes back with nothing.
  void send_back(const store::view& now) {
    const start_over word{epoch_, store::rescued_at(now), now.rev()};
    component_log("link")->warn(
        "node {} has seen revision {}, which is none of the present history (it began at {} and "
        "stands at {}): it is told to start over",
        o_.node, cursor_, word.since, word.now);
    waiting_.emplace_back(word);
    mode_ = mode::idle;
  }

  /// Starts telling at the newest view; false while this master does not know enough.
  bool try_begin() {
    auto now = o_.state->current();
    if (cursor_ > 0 && !same_history(cursor_, *now)) return send_back(*now), true; // `begin` has asked
    auto rules = o_.rbac->rules();
    const auto mask = permitted_tables(*rules, o_.self, *now);
    if (mask == 0) return false; // the cluster's first objects are not there yet
    const bool known = cursor_ > 0 && told_tables_ == mask;
    std::vector<table_events> resumed;
    std::vector<const fed_table*> whole;
    for (std::size_t i = 0; i < fed_tables.size(); ++i) {
      const auto& t = fed_tables[i];
      store::pull_result got;
      got.too_old = !known || t.what != scope::everything || !(mask >> i & 1);
      if (!got.too_old) got = o_.hub->pull(t.table, cursor_, resume_events_max);
      if (got.too_old || got.events.size() >= resume_events_max)
        whole.push_back(&t);
      else if (got.upto < now->rev())
        return false; // the view is ahead of the hub for a moment
      else
        resumed.push_back({&t, std::move(got.events)});
    }
    rules_ = std::move(rules);
    mask_ = mask;
    scope_->rebuild(*now);
    waiting_.emplace_back(feed_begin{epoch_, mask_});
    std::vector<feed_event> events;
    for (const auto& [t, e] : in_order(resumed, now->rev()))
      events.push_back({e->type, std::string(t->table), e->rev, e->current});
    for (auto& m : in_batches(std::move(events)))
      waiting_.push_back(std::move(m));
    for (const auto* t : whole)
      walks_.emplace_back(*t, !shown(*t));
    view_ = std::move(now);
    mode_ = mode::telling;
    return true;
  }

  bool shown(const fed_table& t) {
    const bool may = mask_ >> static_cast<unsigned>(&t - fed_tables.data()) & 1;
    if (!may)
      component_log("link")->warn("node {} may not list and watch {}: its components see none", o_.node, t.table);
    return may;
  }

  void tell_more() {
    while (!walks_.empty()) {
      if (auto m = walks_.front().next(*view_, *scope_)) {
        waiting_.push_back(std::move(*m));
        return;
      }
      walks_.pop_front();
    }
    cursor_ = told_ = view_->rev();
    waiting_.emplace_back(feed_commit{cursor_});
    view_.reset();
    mode_ = mode::live;
  }

  /// Queues the next step; false when there is nothing new: then each table wakes us with its next event.
  bool follow() {
    const auto now = o_.state->current();
    if (auto rules = o_.rbac->rules(); rules != rules_) {
      rules_ = std::move(rules);
      if (permitted_tables(*rules_, o_.self, *now) != mask_) return begin(cursor_, 0), true;
    }
    std::vector<table_events> fresh;
    auto upto = now->rev();
    bool any = false;
    for (std::size_t i = 0; i < fed_tables.size(); ++i) {
      auto got = o_.hub->pull(fed_tables[i].table, cursor_, limits::link::feed_pull);
      if (got.too_old) return begin(cursor_, mask_), true;
      upto = std::min(upto, got.upto);
      any = any || !got.events.empty();
      if (mask_ >> i & 1) fresh.push_back({&fed_tables[i], std::move(got.events)});
    }
    if (any && upto > cursor_) {
      std::vector<feed_event> events;
      for (const auto& [t, e] : in_order(fresh, upto))
        scope_->on(*t, *e, *now, events);
      cursor_ = upto;
      if (events.empty()) return true; // of other nodes
      for (auto& m : in_batches(std::move(events)))
        waiting_.push_back(std::move(m));
      waiting_.emplace_back(feed_commit{told_ = upto});
      return true;
    }
    cursor_ = std::max(cursor_, upto);
    if (any && o_.state->current()->rev() > now->rev()) return true;
    if (any) return look_later(), false; // announced, but not in all tables yet
    for (auto& s : subscriptions_)
      s->arm(cursor_);
    return false;
  }

  caf::event_based_actor* self_;
  node_feed_options o_;
  std::optional<node_scope> scope_;
  std::array<std::unique_ptr<store::subscription>, fed_tables.size()> subscriptions_;
  mode mode_ = mode::idle;
  std::deque<message> waiting_; // made, not sent for want of credit
  std::deque<table_walk> walks_;
  store::view_ptr view_; // being told
  std::shared_ptr<const rbac::rbac_rules> rules_;
  std::uint32_t mask_ = 0, told_tables_ = 0;
  std::uint64_t epoch_ = 0;
  store::revision cursor_ = 0, told_ = 0;
  std::int64_t credit_ = 0;
  std::uint64_t asked_ = 0;
  bool looking_ = false;
};

} // namespace

identity identity_of(component c, const identity& certificate) {
  if (c == component::self) return certificate;
  identity who;
  who.user = c == component::proxy ? "system:kube-proxy" : "system:troupe-dns";
  who.groups = {"system:authenticated"};
  return who;
}

unsigned permitted_tables(const rbac::rbac_rules& rules, const identity& node, const store::view& state) {
  const identity readers[] = {node, identity_of(component::proxy, node), identity_of(component::dns, node)};
  const auto held = rules.role_rules("", "ClusterRole", "system:node");
  unsigned mask = 0;
  for (std::size_t i = 0; i < fed_tables.size(); ++i) {
    const auto& t = fed_tables[i];
    auto may = [&](const identity& who, std::string_view verb) {
      rbac::attributes a;
      a.verb = verb;
      a.group = t.group;
      a.resource = t.resource;
      return rules.allows(a, who) || apiserver::node_authorizer(rules, a, who, state, nullptr).allowed;
    };
    if (t.what == scope::referenced) {
      // One by one a node may get these when a pod of its own refers to them: that is what the scope follows.
      rbac::policy_rule wanted;
      wanted.verbs = {"get"};
      wanted.api_groups = {std::string(t.group)};
      wanted.resources = {std::string(t.resource)};
      if (held && rbac::covers(*held, wanted)) mask |= 1u << i;
      continue;
    }
    for (const auto& who : readers)
      if (may(who, "list") && may(who, "watch")) mask |= 1u << i;
  }
  return mask;
}

caf::actor spawn_node_feed(caf::actor_system& sys, node_feed_options options) {
  return sys.spawn([options = std::move(options)](caf::stateful_actor<node_feed>* self) -> caf::behavior {
    self->set_default_handler(caf::drop);
    auto* s = &self->state;
    s->open(options);
    return {
        [s](const message_ptr& m) {
          s->touch();
          s->on_message(*m);
        },
        [s](feed_wake, int) {
          s->touch();
          s->pump();
        },
        [s](look_again) { s->on_look(); },
        [s](up_to_date, std::uint64_t n, bool yes) { s->on_up_to_date(n, yes); },
        [s](bookmark) { s->on_bookmark(); },
    };
  });
}

} // namespace troupe::link
