#include "tests/sim/network.hpp"

#include "actors/raft/parcel_codec.hpp"

#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <stdexcept>

namespace troupe::sim {

class network::port final : public raft_transport {
public:
  port(network& n, member_id who, std::uint32_t life) : network_(n), who_(who), life_(life) {}
  void send(raft::parcel_ptr p) override {
    const auto& s = network_.stations_[who_];
    if (s.life == life_ && s.up) network_.send(std::move(p));
  }
  void deliver_to(raft_actor inbox) override {
    auto& s = network_.stations_[who_];
    if (s.life != life_ || !s.up) return;
    if (inbox)
      s.inbox = std::move(inbox);
    else
      s.inbox.reset();
  }
  void members(const std::vector<store::member_id>&) override {}

private:
  network& network_;
  member_id who_;
  std::uint32_t life_;
};

std::shared_ptr<raft_transport> network::connect(member_id who) {
  auto& s = stations_[who];
  ++s.life;
  s.up = true;
  s.inbox.reset();
  return std::make_shared<port>(*this, who, s.life);
}

void network::disconnect(member_id who) {
  auto& s = stations_[who];
  s.up = false;
  s.inbox.reset();
}

void network::cut(member_id from, member_id to, bool yes) { links_[{from, to}].cut = yes; }

void network::heal() {
  for (auto& [ends, l] : links_)
    l.cut = false;
  rules = {};
}

void network::observe(const raft::parcel& p) {
  for (const auto& m : p.messages) {
    const bool leads = std::holds_alternative<raft::append_request>(m.body) ||
                       std::holds_alternative<raft::heartbeat>(m.body) ||
                       std::holds_alternative<raft::snapshot_chunk>(m.body);
    if (leads) recorder_.claim(m.from, m.term);
  }
}

raft::parcel_ptr network::recoded(const raft::parcel& p) {
  auto out = std::make_shared<raft::parcel>();
  const auto bytes = raft::encode_parcel(p);
  if (!raft::decode_parcel(bytes, *out) || raft::encode_parcel(*out) != bytes)
    throw std::runtime_error("a parcel does not survive its encoding");
  return out;
}

void network::launch(const link_rules& how, link& l, std::uint32_t life, raft::parcel_ptr p) {
  if (l.backlog >= backlog_max) return;
  ++l.backlog;
  auto when = world_.now() + random_.between(how.delay_min, how.delay_max);
  if (random_.happens(how.late))
    when += random_.between(instant{0}, how.late_max);
  else
    when = l.busy_until = std::max(when, l.busy_until); // in order, as one connection carries it
  under_way_.push({when, ++order_, life, std::move(p)});
}

void network::send(raft::parcel_ptr p) {
  ++carried_;
  observe(*p);
  auto& l = links_[{p->from, p->to}];
  const auto to = stations_.find(p->to);
  if (to == stations_.end() || l.cut || random_.happens(rules.loss)) return;
  for (unsigned i = 0; i < rules.storm; ++i)
    launch(rules, l, to->second.life, std::make_shared<raft::parcel>(*p));
  if (random_.happens(rules.repeat)) launch(rules, l, to->second.life, std::make_shared<raft::parcel>(*p));
  if (random_.happens(codec)) p = recoded(*p);
  launch(rules, l, to->second.life, std::move(p));
}

void network::fire() {
  auto p = std::move(under_way_.top().what);
  const auto life = under_way_.top().life;
  under_way_.pop();
  auto& l = links_[{p->from, p->to}];
  --l.backlog;
  const auto& s = stations_[p->to];
  if (l.cut || !s.up || s.life != life || !s.inbox) return;
  recorder_.mix(world_.now().count(), p->from.v, p->to.v, p->messages.size());
  caf::anon_send(*s.inbox, std::move(p));
}

} // namespace troupe::sim
