#include "tests/unit/link/link_lab.hpp"

#include "actors/support/scheduling.hpp"
#include "tests/support/api_lab.hpp"

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <future>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace troupe::test {

bool comes_true(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, 2);
  }
  return true;
}

store::view_ptr held_view::current() const {
  std::lock_guard lock(mutex_);
  return held_ ? held_ : of_->current();
}
void held_view::hold() {
  std::lock_guard lock(mutex_);
  held_ = of_->current();
}
void held_view::release() {
  std::lock_guard lock(mutex_);
  held_ = nullptr;
}

request request_of(verb what, std::string plural, std::string ns, std::string name, std::string body,
                   std::string subresource) {
  request r;
  r.what = what;
  r.version = "v1";
  r.plural = std::move(plural);
  r.ns = std::move(ns);
  r.name = std::move(name);
  r.subresource = std::move(subresource);
  r.accept = "application/json";
  r.content_type = what == verb::patch ? "application/merge-patch+json" : "application/json";
  if (!body.empty()) r.body = std::move(body);
  return r;
}

// ---------------------------------------------------------------- lab

link_lab::link_lab() {
  static int n = 0;
  dir = std::filesystem::temp_directory_path() /
        ("troupe-link-" + std::to_string(::getpid()) + "-" + std::to_string(n++));
  configure_scheduler(config, 2);
  system = std::make_unique<caf::actor_system>(config);
  raft_options ro;
  ro.data_dir = dir / "store";
  ro.cluster_id = "abc123";
  raft = spawn_raft(*system, ro).value();
  api_options o;
  o.listen_address = "127.0.0.1";
  o.port = 0;
  o.pki = test_pki();
  o.raft = raft.raft;
  o.state = raft.state;
  o.hub = raft.hub;
  auto ready = std::make_shared<std::promise<void>>();
  o.on_ready = [ready] { ready->set_value(); };
  api = spawn_apiserver(*system, std::move(o)).value();
  ready->get_future().wait();
  make("serviceaccounts", "default", R"({"metadata":{"name":"default"}})");
}

link_lab::~link_lab() {
  api.server->stop();
  {
    caf::scoped_actor self{*system};
    self->request(raft.raft, std::chrono::seconds(10), flush_and_stop::value).receive([](bool) {}, [](caf::error&) {});
  }
  caf::anon_send_exit(raft.raft, caf::exit_reason::user_shutdown);
  api = {};
  raft = {};
  system.reset();
  std::filesystem::remove_all(dir);
}

namespace {
response_ptr ask(caf::actor_system& system, const api_actor& api, request r) {
  caf::scoped_actor self{system};
  response_ptr out;
  self->request(api, std::chrono::seconds(40), std::make_shared<const request>(std::move(r)))
      .receive([&](const response_ptr& got) { out = got; }, [](caf::error&) {});
  REQUIRE(out);
  return out;
}
} // namespace

response_ptr link_lab::call(verb what, std::string plural, std::string ns, std::string name, std::string body,
                            std::string subresource) {
  auto r = request_of(what, std::move(plural), std::move(ns), std::move(name), std::move(body), std::move(subresource));
  r.who.user = "kubernetes-admin";
  r.who.groups = {"system:masters", "system:authenticated"};
  return ask(*system, api.api, std::move(r));
}

store::object_ptr link_lab::make(const std::string& plural, const std::string& ns, const std::string& body) {
  auto r = call(verb::create, plural, ns, {}, body);
  if (r->error && r->code == 409) return nullptr;
  REQUIRE_MESSAGE(r->code == 201, (r->error ? r->error->message : ""));
  return r->object;
}

store::object_ptr link_lab::pod(const std::string& name, const std::string& node, const std::string& more) {
  return make("pods", "default",
              R"({"metadata":{"name":")" + name + R"("},"spec":{"nodeName":")" + node + R"(",)" + more +
                  R"("containers":[{"name":"c","image":"i"}]}})");
}

std::shared_ptr<const link::session_tls> link_lab::node_tls(const std::string& node) {
  const auto keys = tls::issue_client(*test_pki(), "system:node:" + node, {"system:nodes"}).value();
  return link::make_session_tls(test_pki()->ca_pem, keys).value();
}

// ---------------------------------------------------------------- door

lab_door::lab_door(link_lab& lab, std::string n, std::shared_ptr<group_board> group)
    : name(std::move(n)), view(std::make_shared<held_view>(lab.raft.state)) {
  link::node_sessions_options o;
  o.cluster_id = "abc123";
  o.master_name = name;
  o.api = {lab.api.api};
  o.state = view;
  o.hub = lab.raft.hub;
  o.group = group ? std::move(group) : lab.raft.group;
  o.nodes = doors;
  o.plain_peer.user = "kubernetes-admin";
  o.plain_peer.groups = {"system:masters", "system:authenticated"};
  sessions = link::make_node_sessions(*lab.system, std::move(o)).value();
  link::listener_options l;
  l.address = "127.0.0.1";
  const auto keys = tls::issue_master(*test_pki(), name).value();
  l.tls = link::make_session_tls(test_pki()->ca_pem, keys).value();
  listener = link::secure_listener::make(std::move(l)).value();
  listener->serve(link::workers_protocol, [s = sessions](link::session peer, std::string hello) {
    s->accept(std::move(peer), std::move(hello));
  });
  REQUIRE(listener->start().has_value());
}

lab_door::~lab_door() {
  listener->stop();
  sessions->stop();
  doors->clear();
}

// ---------------------------------------------------------------- relay

relay::relay(std::uint16_t to) : to_(to) {
  listen_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof at;
  REQUIRE(::bind(listen_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  REQUIRE(::listen(listen_, 16) == 0);
  ::getsockname(listen_, reinterpret_cast<sockaddr*>(&at), &bytes);
  port_ = ntohs(at.sin_port);
  thread_ = std::thread([this] { run(); });
}

relay::~relay() {
  stop_ = true;
  thread_.join();
  ::close(listen_);
}

void relay::cut() {
  cut_ = true;
  REQUIRE(comes_true([this] { return !cut_; }));
}

void relay::pause(bool on) {
  paused_ = on;
  REQUIRE(comes_true([&] { return pausing_ == on; }));
}

void relay::run() {
  std::vector<std::pair<int, int>> pairs; // bytes from first to second; each connection appears twice
  auto drop = [&](int a, int b) {
    std::erase_if(pairs, [&](const auto& p) { return p.first == a || p.first == b; });
    ::close(a);
    ::close(b);
  };
  std::vector<char> buffer(64 * 1024);
  while (!stop_) {
    if (cut_) {
      while (!pairs.empty())
        drop(pairs.front().first, pairs.front().second);
      cut_ = false;
    }
    std::vector<pollfd> fds{{listen_, POLLIN, 0}};
    pausing_ = paused_.load();
    if (!pausing_)
      for (const auto& p : pairs)
        fds.push_back({p.first, POLLIN, 0});
    if (::poll(fds.data(), fds.size(), 5) <= 0) continue;
    for (std::size_t i = 1; i < fds.size(); ++i) {
      if (!fds[i].revents) continue;
      auto it = std::find_if(pairs.begin(), pairs.end(), [&](const auto& p) { return p.first == fds[i].fd; });
      if (it == pairs.end()) continue;
      const auto [from, into] = *it;
      const auto n = ::recv(from, buffer.data(), buffer.size(), 0);
      std::size_t done = 0;
      while (n > 0 && done < static_cast<std::size_t>(n)) {
        const auto w = ::send(into, buffer.data() + done, static_cast<std::size_t>(n) - done, MSG_NOSIGNAL);
        if (w <= 0) break;
        done += static_cast<std::size_t>(w);
      }
      if (n <= 0 || done < static_cast<std::size_t>(n)) drop(from, into);
    }
    if (fds[0].revents & POLLIN) {
      const int a = ::accept4(listen_, nullptr, nullptr, SOCK_CLOEXEC);
      const int b = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in at{};
      at.sin_family = AF_INET;
      at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      at.sin_port = htons(to_);
      if (a >= 0 && ::connect(b, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0) {
        pairs.emplace_back(a, b);
        pairs.emplace_back(b, a);
      } else {
        if (a >= 0) ::close(a);
        ::close(b);
      }
    }
  }
  while (!pairs.empty())
    drop(pairs.front().first, pairs.front().second);
}

// ---------------------------------------------------------------- worker

lab_worker::lab_worker(link_lab& l, std::string n, std::vector<link::master_address> masters)
    : lab(l), node(std::move(n)) {
  link::cluster_link_options o;
  o.tls = lab.node_tls(node);
  o.node_name = node;
  o.cluster_id = "abc123";
  o.masters = std::move(masters);
  o.is_master = [](const identity& peer, const std::string& master) {
    return peer.user == tls::master_user_prefix + master;
  };
  link = link::spawn_cluster_link(*lab.system, std::move(o)).value();
}

lab_worker::~lab_worker() { link.link->stop(); }

component_env lab_worker::env(const std::string& user) const {
  component_env e;
  e.api = link.api;
  e.state = link.state;
  e.hub = link.hub;
  e.board = std::make_shared<actor_board>();
  e.who.user = user.empty() ? "system:node:" + node : user;
  e.node_name = node;
  return e;
}

response_ptr lab_worker::call(request r) const {
  if (r.who.user.empty()) r.who.user = "system:node:" + node;
  return ask(*lab.system, link.api, std::move(r));
}

bool lab_worker::sees(const std::string& table, const std::string& ns, const std::string& name) const {
  return link.state->current()->get(table, ns, name) != nullptr;
}

} // namespace troupe::test
