#include "actors/link/mesh_gateway.hpp"

#include "actors/link/mesh_limits.hpp"
#include "actors/raft/parcel_codec.hpp"
#include "actors/support/component.hpp"
#include "actors/support/scheduling.hpp"

#include <caf/io/basp_broker.hpp>
#include <caf/io/broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/stateful_actor.hpp>

#include <spdlog/spdlog.h>
#include <sys/random.h>

#include <map>
#include <set>
#include <utility>

namespace troupe::mesh {

namespace {

namespace limits = troupe::limits::mesh;
using clock = std::chrono::steady_clock;

/// One session to one peer, from its hand-over to its end.
struct lane {
  peer_ptr peer;
  store::member_id member;
  mesh_hello theirs;
  bool dialed = false, up = false, ending = false;
  std::shared_ptr<basp_link> session;
  caf::actor remote;
  std::string partial;             // parts of a parcel that is not complete
  std::uint64_t got = 0, told = 0; // bytes of this link; as last acknowledged
  clock::time_point heard, pinged; // up: last pong; before: the hand-over
  std::string why_ended;
};

struct gateway_state {
  caf::io::broker* self;
  std::shared_ptr<shared_parts> parts;
  std::shared_ptr<spdlog::logger> log = component_log("mesh");
  std::map<std::uint64_t, lane> lanes;                // by link number
  std::map<store::member_id, accepted_ptr> replacing; // waits for the end of the peer's last session
  static inline const char* name = "mesh-gateway";

  explicit gateway_state(caf::io::broker* me) : self(me) {}
  ~gateway_state() {
    for (auto& [number, l] : lanes) {
      l.session->close();
      l.peer->link_down(number, "the gateway of this master ended");
      if (l.up && parts->on_change) parts->on_change(l.member, false);
    }
  }

  clock::time_point now() const { return self->clock().now(); }
  caf::actor broker() { return self->system().middleman().named_broker<caf::io::basp_broker>(caf::atom("BASP")); }

  void accept(accepted_ptr a);
  void admit(accepted_ptr a);
  void dialed(dialed_ptr d);
  lane& enter(std::uint64_t number, link::session s, peer_ptr peer, const mesh_hello& theirs, caf::io::scribe_ptr& out);
  void connected(std::uint64_t number, const caf::strong_actor_ptr& remote);
  void on_attach(const attach& a);
  void on_attached(const attached& a);
  void bring_up(std::uint64_t number, lane& l);
  void on_part(part& p);
  bool complete(lane& l, std::string_view bytes);
  void acknowledge(std::uint64_t number, lane& l);
  void on_pong(const pong& p);
  void on_down(const caf::down_msg& d);
  void on_closed(std::uint64_t number);
  void end(lane& l, const std::string& why);
  void look_around();
  lane* find(std::uint64_t number) {
    const auto it = lanes.find(number);
    return it == lanes.end() ? nullptr : &it->second;
  }
};

std::uint64_t draw_number() {
  std::uint64_t n = 0;
  while (n == 0)
    if (::getrandom(&n, sizeof n, 0) != sizeof n) n = 0;
  return n;
}

void answer(link::session& s, const mesh_answer& a) {
  // A fresh socket takes so little at once; the deadline is for peers that made their window small on purpose.
  (void)link::write_frame(s, encode_answer(a), clock::now() + limits::answer_patience);
}

void gateway_state::accept(accepted_ptr a) {
  bool wait = false;
  for (auto& [number, l] : lanes) {
    if (l.peer != a->peer) continue;
    const auto why = l.up && !l.ending ? refuse_duplicate(parts->mine, a->theirs, l.theirs.life) : std::string{};
    if (!why.empty()) {
      log->error("refused a link from {}: {}", a->session.peer_address(), why);
      answer(a->session, {why, parts->mine, 0});
      return;
    }
    end(l, "the peer opened a new session");
    wait = true;
  }
  if (wait)
    replacing[a->peer->at().member] = std::move(a); // a third one takes the place of the second
  else
    admit(std::move(a));
}

void gateway_state::admit(accepted_ptr a) {
  const auto number = draw_number();
  answer(a->session, {{}, parts->mine, number});
  caf::io::scribe_ptr scribe;
  enter(number, std::move(a->session), a->peer, a->theirs, scribe);
  self->send(broker(), caf::publish_atom::value, std::move(scribe), std::uint16_t{0},
             caf::actor_cast<caf::strong_actor_ptr>(self), std::set<std::string>{});
}

void gateway_state::dialed(dialed_ptr d) {
  const auto number = d->answer.link;
  if (lanes.contains(number)) {
    d->peer->dial_failed("the peer gave a number twice");
    return;
  }
  caf::io::scribe_ptr scribe;
  enter(number, std::move(d->session), d->peer, d->answer.hello, scribe).dialed = true;
  self->request(broker(), limits::attach_patience, caf::connect_atom::value, std::move(scribe), std::uint16_t{0})
      .then([this, number](const caf::node_id&, const caf::strong_actor_ptr& remote,
                           const std::set<std::string>&) { connected(number, remote); },
            [this, number](const caf::error& e) {
              if (auto* l = find(number)) end(*l, "BASP did not connect: " + self->system().render(e));
            });
}

lane& gateway_state::enter(std::uint64_t number, link::session s, peer_ptr peer, const mesh_hello& theirs,
                           caf::io::scribe_ptr& out) {
  auto handed = hand_over(self->system(), std::move(s), [to = caf::actor_cast<caf::actor_addr>(self), number] {
    if (auto me = caf::actor_cast<caf::actor>(to)) caf::anon_send(me, session_closed::value, number);
  });
  auto& l = lanes[number];
  l.peer = std::move(peer);
  l.member = theirs.member;
  l.theirs = theirs;
  l.session = std::move(handed.link);
  l.heard = now();
  out = std::move(handed.scribe);
  return l;
}

void gateway_state::connected(std::uint64_t number, const caf::strong_actor_ptr& remote) {
  auto* l = find(number);
  if (!l || l->ending) return;
  if (!remote) return end(*l, "the peer has no gateway");
  l->remote = caf::actor_cast<caf::actor>(remote);
  self->monitor(l->remote);
  self->send(l->remote, attach{number}); // the answer is the first round trip: only then is the handle used
}

void gateway_state::on_attach(const attach& a) {
  auto* l = find(a.link);
  auto sender = caf::actor_cast<caf::actor>(self->current_sender());
  if (!l || l->dialed || l->up || l->ending || !sender) return;
  l->remote = std::move(sender);
  self->monitor(l->remote);
  self->send(l->remote, attached{a.link});
  bring_up(a.link, *l);
}

void gateway_state::on_attached(const attached& a) {
  auto* l = find(a.link);
  if (l && l->dialed && !l->up && !l->ending) bring_up(a.link, *l);
}

void gateway_state::bring_up(std::uint64_t number, lane& l) {
  l.up = true;
  l.heard = now();
  l.peer->link_up(number, l.theirs, l.remote);
  log->info("linked with master \"{}\" (member {})", l.peer->at().name, l.member.v);
  if (parts->on_change) parts->on_change(l.member, true);
}

void gateway_state::on_part(part& p) {
  auto* l = find(p.link);
  if (!l || !l->up || l->ending) return;
  l->got += p.bytes.size();
  if (l->partial.size() + p.bytes.size() > limits::parcel_bytes_max) return end(*l, "it sent a parcel above the bound");
  if (!p.last) {
    l->partial += p.bytes;
    l->peer->received(p.bytes.size(), false);
    return acknowledge(p.link, *l);
  }
  bool good = false;
  if (l->partial.empty()) {
    good = complete(*l, p.bytes);
  } else {
    l->partial += p.bytes;
    good = complete(*l, l->partial);
    l->partial = {}; // large ones are rare: give the memory back
  }
  l->peer->received(p.bytes.size(), true);
  if (good)
    acknowledge(p.link, *l);
  else
    end(*l, "it sent what is no parcel for this master");
}

bool gateway_state::complete(lane& l, std::string_view bytes) {
  auto whole = std::make_shared<raft::parcel>();
  if (!raft::decode_parcel(bytes, *whole) || whole->from != l.member || whole->to != parts->mine.member) return false;
  parts->deliver(std::move(whole));
  return true;
}

void gateway_state::acknowledge(std::uint64_t number, lane& l) {
  if (l.got - l.told < limits::acknowledge_bytes) return;
  l.told = l.got;
  self->send(l.remote, taken{number, l.got});
}

void gateway_state::on_pong(const pong& p) {
  auto* l = find(p.link);
  if (!l || !l->up) return;
  l->heard = now();
  l->peer->round_trip(l->heard.time_since_epoch() - std::chrono::nanoseconds(p.at_ns));
}

void gateway_state::on_down(const caf::down_msg& d) {
  for (auto& [number, l] : lanes)
    if (l.remote && l.remote.address() == d.source)
      end(l, "the connection broke (" + self->system().render(d.reason) + ")");
}

void gateway_state::end(lane& l, const std::string& why) {
  if (l.ending) return;
  l.ending = true;
  l.why_ended = why;
  l.session->close(); // on_closed follows
}

void gateway_state::on_closed(std::uint64_t number) {
  const auto it = lanes.find(number);
  if (it == lanes.end()) return;
  auto l = std::move(it->second);
  lanes.erase(it);
  if (l.remote) self->demonitor(l.remote);
  if (l.why_ended.empty()) l.why_ended = "the connection was closed";
  if (l.up) log->warn("lost master \"{}\" (member {}): {}", l.peer->at().name, l.member.v, l.why_ended);
  l.peer->link_down(number, l.why_ended);
  if (l.up && parts->on_change) parts->on_change(l.member, false);
  const auto next = replacing.find(l.member);
  if (next == replacing.end()) return;
  auto a = std::move(next->second);
  replacing.erase(next);
  accept(std::move(a)); // there may be yet another lane of this peer
}

void gateway_state::look_around() {
  const auto t = now();
  for (auto& [number, l] : lanes) {
    const auto silent = t - l.heard;
    if (l.ending) continue;
    if (!l.up && silent >= limits::attach_patience)
      end(l, "its gateway did not answer");
    else if (l.up && silent >= limits::gateway_silence)
      end(l, "its gateway does not answer pings");
    else if (l.peer->has_left(t, limits::farewell))
      end(l, "it is no member of the group any more");
    if (!l.up || l.ending) continue;
    // What is small is acknowledged here, so that an idle link shows no backlog.
    if (l.got != l.told) self->send(l.remote, taken{number, l.told = l.got});
    if (t - l.pinged < limits::ping_every) continue;
    l.pinged = t;
    self->send(l.remote, ping{number, t.time_since_epoch().count()});
  }
  self->delayed_send(self, limits::look_every, look_round::value);
}

caf::behavior gateway(caf::io::stateful_broker<gateway_state>* self, std::shared_ptr<shared_parts> parts) {
  auto& s = self->state;
  s.parts = std::move(parts);
  self->set_down_handler([&s](caf::down_msg& d) { s.on_down(d); });
  self->set_default_handler(caf::drop);
  self->delayed_send(self, limits::look_every, look_round::value);
  return {
      [&s](accepted_ptr& a) { s.accept(std::move(a)); },
      [&s](dialed_ptr& d) { s.dialed(std::move(d)); },
      [&s](session_closed, std::uint64_t number) { s.on_closed(number); },
      [&s](look_round) { s.look_around(); },
      [&s](const attach& a) { s.on_attach(a); },
      [&s](const attached& a) { s.on_attached(a); },
      [&s](part& p) {
        const run_here turn; // of the Raft actor, whose answer leaves through this thread
        s.on_part(p);
      },
      [&s](const taken& t) {
        if (auto* l = s.find(t.link)) l->peer->taken(t.link, t.bytes);
      },
      [&s, self](const ping& p) {
        if (auto* l = s.find(p.link); l && l->up) self->send(l->remote, pong{p.link, p.at_ns});
      },
      [&s](const pong& p) { s.on_pong(p); },
  };
}

} // namespace

void shared_parts::deliver(raft::parcel_ptr p) const {
  raft_actor to;
  {
    std::lock_guard lock(mutex_);
    to = inbox_;
  }
  if (to) caf::anon_send(to, std::move(p));
}

void shared_parts::set_inbox(raft_actor to) {
  std::lock_guard lock(mutex_);
  std::swap(inbox_, to);
}

caf::actor spawn_gateway(caf::actor_system& sys, std::shared_ptr<shared_parts> parts) {
  return sys.middleman().spawn_broker(gateway, std::move(parts));
}

} // namespace troupe::mesh
