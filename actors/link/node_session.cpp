#include "actors/link/node_session.hpp"

#include "actors/link/node_session_feed.hpp"
#include "actors/link/node_session_hello.hpp"
#include "actors/link/node_session_peer.hpp"
#include "api/version.hpp"

#include <caf/actor_system.hpp>
#include <spdlog/spdlog.h>

#include <set>

namespace troupe::link {

namespace {

using peer_ptr = std::shared_ptr<session_peer>;

class sessions final : public node_sessions, public std::enable_shared_from_this<sessions> {
public:
  sessions(caf::actor_system& sys, node_sessions_options o)
      : system_(sys), o_(std::move(o)), loop_(frame_loop::make("node-sessions")),
        rbac_(std::make_shared<apiserver::rbac_index>(o_.state, o_.hub)) {}
  ~sessions() override { stop(); }

  void open() {
    if (!o_.group) return;
    following_ = o_.group->subscribe([weak = weak_from_this()](const group_status& s) {
      if (auto me = weak.lock()) me->on_group(s);
    });
  }

  void accept(session s, std::string first) override {
    auto decoded = decode_payload(first);
    const auto* h = decoded ? std::get_if<hello>(&*decoded) : nullptr;
    const auto from = s.peer_address();
    if (!h) return log_->warn("session from {}: its first frame is no hello", from);
    const identity who = s.tls() ? s.peer() : o_.plain_peer;
    std::lock_guard lock(mutex_);
    if (stopped_) return;
    if (auto why = refuse_hello(*h, who, from, facts_for(*h))) {
      log_->warn("refused: {}", *why);
      auto link = loop_->adopt(std::move(s), {}, {});
      return link->finish(encode_frame(refused{*why}), *why);
    }
    admit(std::move(s), *h, who, from);
  }

  void set_masters(std::vector<master_address> masters) override {
    std::lock_guard lock(mutex_);
    if (masters.size() > limits::link::masters_max) masters.resize(limits::link::masters_max);
    if (masters == masters_) return;
    masters_ = std::move(masters);
    broadcast(masters_list{masters_});
  }

  std::vector<std::string> connected() const override {
    std::lock_guard lock(mutex_);
    std::vector<std::string> out;
    for (const auto& [name, peer] : nodes_)
      out.push_back(name);
    return out;
  }

  void stop() override {
    std::set<peer_ptr> all;
    {
      std::lock_guard lock(mutex_);
      if (std::exchange(stopped_, true)) return;
      following_.reset();
      all.swap(peers_);
      for (const auto& [name, peer] : nodes_)
        if (o_.nodes) o_.nodes->leave(name);
      nodes_.clear();
    }
    const std::string why = "master " + o_.master_name + " stops";
    for (const auto& p : all)
      p->link()->finish(encode_frame(bye{why}), why);
    loop_->stop();
    for (const auto& p : all)
      p->on_closed(why);
  }

private:
  // All below with mutex_ held, but for the callbacks.
  door_facts facts_for(const hello& h) const {
    door_facts f{o_.master_name, o_.cluster_id, version::git_version, false, 0, {}};
    auto it = nodes_.find(h.name);
    if (it != nodes_.end() && it->second->link()->open()) {
      f.life_of_name = it->second->facts().life;
      f.address_of_name = it->second->facts().from;
    }
    f.name_is_ours = it == nodes_.end() && o_.nodes && o_.nodes->find(h.name);
    return f;
  }

  void admit(session s, const hello& h, const identity& who, const std::string& from) {
    peer_facts facts{h.name, from, who, !node_of_certificate(who).empty(), h.life};
    auto peer = std::make_shared<session_peer>(facts, o_.api[next_api_++ % o_.api.size()]);
    frame_handlers handlers;
    // The handlers die with the session: that ends the circle peer, link, handlers.
    handlers.on_frame = [peer](std::string_view payload) { return peer->on_frame(payload); };
    handlers.on_closed = [peer, weak = weak_from_this()](const std::string& why) {
      if (auto me = weak.lock()) me->on_closed(peer, why);
      peer->on_closed(why);
    };
    auto link = loop_->adopt(std::move(s), std::move(handlers), {});
    if (facts.node)
      admit_node(peer, link);
    else
      peer->use(link, {}, {}, nullptr);
    peers_.insert(peer);
    link->send(message{welcome{limits::link::protocol_version, o_.cluster_id, o_.master_name, version::git_version,
                               state_now(), masters_}});
    link->start();
    log_->info("{} {} connected from {}", facts.node ? "node" : "client", facts.name, from);
  }

  void admit_node(const peer_ptr& peer, const frame_link_ptr& link) {
    const auto& name = peer->facts().name;
    auto streams = std::make_shared<remote_streams>(name);
    streams->use(link);
    node_feed_options f;
    f.link = link;
    f.node = name;
    f.self = peer->facts().who;
    f.state = o_.state;
    f.hub = o_.hub;
    f.rbac = rbac_;
    f.group = o_.group;
    if (o_.board) f.counters = o_.board->enter("node/session " + name);
    peer->use(link, spawn_node_feed(system_, std::move(f)), spawn_remote_kubelet(system_, streams), streams);
    auto& held = nodes_[name];
    if (held) held->link()->close("the node has opened another session");
    held = peer;
    if (o_.nodes) o_.nodes->enter(name, peer->door());
  }

  void on_closed(const peer_ptr& peer, const std::string& why) {
    std::lock_guard lock(mutex_);
    if (peers_.erase(peer) == 0) return;
    const auto& name = peer->facts().name;
    log_->info("session with {} ({}) ended: {}", name, peer->facts().from, why);
    auto it = nodes_.find(name);
    if (it == nodes_.end() || it->second != peer) return; // another session has taken its place
    nodes_.erase(it);
    if (o_.nodes) o_.nodes->leave(name);
  }

  master_state state_now() const {
    master_state out = group_;
    out.rev = o_.state->current()->rev();
    return out;
  }

  void on_group(const group_status& s) {
    std::lock_guard lock(mutex_);
    master_state now;
    now.serving = s.out_of_service.empty() && s.leader.v != 0;
    now.why = !s.out_of_service.empty() ? s.out_of_service : now.serving ? "" : "it knows no leader of its group";
    if (now.serving == group_.serving && now.why == group_.why) return;
    group_ = now;
    broadcast(state_now());
  }

  void broadcast(const message& m) {
    const auto frame = encode_frame(m);
    for (const auto& p : peers_)
      p->link()->send(frame);
  }

  caf::actor_system& system_;
  const node_sessions_options o_;
  const std::shared_ptr<frame_loop> loop_;
  const std::shared_ptr<apiserver::rbac_index> rbac_;
  const std::shared_ptr<spdlog::logger> log_ = component_log("link");
  mutable std::mutex mutex_;
  std::set<peer_ptr> peers_;
  std::map<std::string, peer_ptr> nodes_; // by name
  std::vector<master_address> masters_;
  master_state group_;
  std::shared_ptr<void> following_;
  std::size_t next_api_ = 0;
  bool stopped_ = false;
};

} // namespace

result<std::shared_ptr<node_sessions>> make_node_sessions(caf::actor_system& sys, node_sessions_options options) {
  if (options.api.empty() || !options.state || !options.hub)
    return errors::internal("sessions of nodes need the API and the store");
  auto made = std::make_shared<sessions>(sys, std::move(options));
  made->open();
  return std::shared_ptr<node_sessions>(std::move(made));
}

} // namespace troupe::link
