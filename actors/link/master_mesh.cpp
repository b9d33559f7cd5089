#include "actors/link/master_mesh.hpp"

#include "actors/link/mesh_keeper.hpp"
#include "actors/link/mesh_limits.hpp"
#include "actors/support/component.hpp"
#include "api/version.hpp"

#include <caf/send.hpp>

#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

namespace troupe {

namespace {

namespace bounds = limits::mesh;
using clock = std::chrono::steady_clock;

/// A refusal is not the network's fault: the dialer is slower to try again.
constexpr int refused_code = 403;

status refused(std::string why) { return {refused_code, "Forbidden", std::move(why)}; }

std::uint64_t draw_life() {
  std::uint64_t n = 0;
  while (n == 0)
    if (::getrandom(&n, sizeof n, 0) != sizeof n) n = 0;
  return n;
}

class mesh_impl final : public master_mesh {
public:
  explicit mesh_impl(mesh_options o)
      : options_(std::move(o)), parts_(std::make_shared<mesh::shared_parts>()),
        keeper_(std::make_shared<mesh::gateway_keeper>(*options_.system, parts_)) {
    auto& h = parts_->mine;
    h.protocol = bounds::protocol_version;
    h.version = version::troupe;
    h.cluster_id = options_.cluster_id;
    h.name = options_.name;
    h.member = options_.self;
    h.life = options_.life != 0 ? options_.life : draw_life();
    h.store = options_.store;
  }
  ~mesh_impl() override { stop(); }

  result<void> open();

  void on_worker_session(link::secure_listener::on_session handler) override {
    listener_->serve(link::workers_protocol, std::move(handler));
  }
  void on_change(std::function<void(store::member_id, bool)> fn) override { parts_->on_change = std::move(fn); }
  result<void> start() override;
  void stop() override;
  void set_peers(std::vector<mesh_peer> peers) override;
  std::vector<mesh_peer_status> peers() const override;
  std::uint16_t port() const override { return listener_->port(); }
  link::listener_counts listener() const override { return listener_->counts(); }

  void send(raft::parcel_ptr p) override {
    if (!p || p->from != options_.self) return;
    if (auto peer = parts_->peers.find(p->to)) peer->send(*p);
  }
  void deliver_to(raft_actor inbox) override { parts_->set_inbox(std::move(inbox)); }
  void members(const std::vector<store::member_id>& all) override { parts_->peers.members(all); }

private:
  void on_session(link::session s, const std::string& hello);
  void refuse(link::session& s, const std::string& why);
  void dial_loop(const mesh::peer_ptr& peer);
  result<mesh::dialed_ptr> dial_once(const mesh_peer& at, const mesh::peer_ptr& peer);
  const identity* proof(const link::session& s) const { return tls_ ? &s.peer() : nullptr; }
  std::string second_opinion(const mesh_hello& theirs) const {
    return options_.judge ? options_.judge(theirs) : std::string{};
  }
  std::chrono::milliseconds jittered(std::chrono::milliseconds pause);

  mesh_options options_;
  std::shared_ptr<mesh::shared_parts> parts_;
  std::shared_ptr<mesh::gateway_keeper> keeper_;
  std::shared_ptr<const link::session_tls> tls_; // null: plain
  std::unique_ptr<link::secure_listener> listener_;
  std::shared_ptr<spdlog::logger> log_ = component_log("mesh");
  int stop_fd_ = -1;

  mutable std::mutex mutex_;
  bool started_ = false, stopped_ = false;
  std::vector<std::thread> dialers_;
  std::minstd_rand random_{std::random_device{}()};
  std::string last_refusal_; // of the listener's thread
  clock::time_point refusal_told_{};
};

result<void> mesh_impl::open() {
  if (!node_name_is_drawn(*options_.system))
    return errors::internal("this program was linked without the node names of actors/link; masters would be confused");
  if (!options_.plain_tcp_for_benchmarks) {
    auto tls = link::make_session_tls(options_.ca_pem, options_.own);
    if (!tls) return tls.error();
    tls_ = std::move(*tls);
  }
  auto listener = link::secure_listener::make({.address = options_.address, .port = options_.port, .tls = tls_});
  if (!listener) return listener.error();
  listener_ = std::move(*listener);
  stop_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (stop_fd_ < 0) return errors::unavailable("cannot make an eventfd for the links between masters");
  return {};
}

result<void> mesh_impl::start() {
  keeper_->start();
  listener_->serve(link::masters_protocol,
                   [this](link::session s, std::string hello) { on_session(std::move(s), hello); });
  if (auto r = listener_->start(); !r) return r;
  {
    std::lock_guard lock(mutex_);
    started_ = true;
  }
  set_peers(options_.peers);
  return {};
}

void mesh_impl::stop() {
  std::vector<std::thread> dialers;
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    dialers.swap(dialers_);
  }
  if (listener_) listener_->stop();
  const std::uint64_t one = 1;
  if (stop_fd_ >= 0) (void)!::write(stop_fd_, &one, sizeof one);
  for (const auto& p : parts_->peers.all())
    p->retire();
  for (auto& t : dialers)
    t.join();
  keeper_->stop();
  parts_->set_inbox({});
  if (stop_fd_ >= 0) ::close(std::exchange(stop_fd_, -1));
}

void mesh_impl::set_peers(std::vector<mesh_peer> peers) {
  std::erase_if(peers, [this](const mesh_peer& p) { return p.member == options_.self; });
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  if (!started_) {
    options_.peers = std::move(peers);
    return;
  }
  for (const auto& p : parts_->peers.set(peers).added)
    if (p->at().member > options_.self) dialers_.emplace_back([this, p] { dial_loop(p); });
}

std::vector<mesh_peer_status> mesh_impl::peers() const {
  std::vector<mesh_peer_status> out;
  for (const auto& p : parts_->peers.all())
    out.push_back(p->status());
  return out;
}

void mesh_impl::on_session(link::session s, const std::string& bytes) {
  auto a = std::make_shared<mesh::accepted_session>();
  if (!decode_hello(bytes, a->theirs)) return refuse(s, "what was said as a hello is none");
  auto why = refuse_hello(parts_->mine, parts_->peers.addresses(), a->theirs, proof(s));
  if (why.empty() && a->theirs.member > options_.self)
    why = "master \"" + a->theirs.name + "\" dialed master \"" + options_.name +
          "\", but the one with the lower member id dials; both need the same list of masters";
  a->peer = parts_->peers.find(a->theirs.member);
  if (why.empty() && a->peer) why = refuse_store(parts_->mine, a->theirs, a->peer->store());
  if (why.empty()) why = second_opinion(a->theirs);
  if (!why.empty()) return refuse(s, why);
  auto to = keeper_->get();
  if (!a->peer || !to) return;
  a->session = std::move(s);
  caf::anon_send(to, std::move(a));
}

void mesh_impl::refuse(link::session& s, const std::string& why) {
  const auto now = clock::now();
  if (why != last_refusal_ || now - refusal_told_ >= bounds::repeat_log) {
    log_->error("refused a link from {}: {}", s.peer_address(), why);
    last_refusal_ = why;
    refusal_told_ = now;
  }
  (void)link::write_frame(s, encode_answer({why, parts_->mine, 0}), now + bounds::answer_patience);
}

std::chrono::milliseconds mesh_impl::jittered(std::chrono::milliseconds pause) {
  std::lock_guard lock(mutex_);
  const auto third = std::max<std::int64_t>(pause.count() / 3, 1);
  return pause - std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(0, third)(random_));
}

void mesh_impl::dial_loop(const mesh::peer_ptr& peer) {
  auto pause = bounds::redial_first;
  while (peer->wait_until_apart() && peer->pause(jittered(pause))) {
    mesh_peer at;
    if (!peer->begin_dial(at)) continue;
    auto d = dial_once(at, peer);
    if (d) {
      caf::anon_send(keeper_->get(), std::move(*d));
      const bool up = peer->wait_until_up();
      if (!up) log_->info("no link with master \"{}\" yet: {}", at.name, peer->status().last_error);
      pause = up ? bounds::redial_first : std::min(2 * pause, bounds::redial_last);
      continue;
    }
    const bool was_refused = d.error().code == refused_code;
    if (peer->dial_failed(d.error().message)) {
      if (was_refused)
        log_->error("no link with master \"{}\": {}", at.name, d.error().message);
      else
        log_->warn("no link with master \"{}\": {}", at.name, d.error().message);
    }
    pause = was_refused ? bounds::redial_refused : std::min(2 * pause, bounds::redial_last);
  }
}

result<mesh::dialed_ptr> mesh_impl::dial_once(const mesh_peer& at, const mesh::peer_ptr& peer) {
  const auto by = clock::now() + bounds::dial_patience;
  auto s = link::dial({.address = at.address,
                       .port = at.port,
                       .tls = tls_,
                       .protocol = link::masters_protocol,
                       .by = by,
                       .stop_fd = stop_fd_});
  if (!s) return s.error();
  if (auto r = link::write_frame(*s, encode_hello(parts_->mine), by, stop_fd_); !r) return r.error();
  auto bytes = link::read_frame(*s, limits::hello_bytes_max, by, stop_fd_);
  if (!bytes) return bytes.error();
  auto d = std::make_shared<mesh::dialed_session>();
  if (!decode_answer(*bytes, d->answer))
    return refused(s->peer_address() + " answered a hello with what is no answer; it is no master of this release");
  if (!d->answer.refusal.empty()) return refused(d->answer.refusal);
  auto why = refuse_answer(parts_->mine, at, d->answer.hello, proof(*s));
  if (why.empty()) why = refuse_store(parts_->mine, d->answer.hello, peer->store());
  if (why.empty()) why = second_opinion(d->answer.hello);
  if (!why.empty()) return refused(std::move(why));
  d->session = std::move(*s);
  d->peer = peer;
  return d;
}

} // namespace

result<std::shared_ptr<master_mesh>> make_master_mesh(mesh_options options) {
  auto made = std::make_shared<mesh_impl>(std::move(options));
  if (auto r = made->open(); !r) return r.error();
  return std::shared_ptr<master_mesh>{std::move(made)};
}

} // namespace troupe
