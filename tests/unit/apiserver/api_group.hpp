// api_group: three api servers over one group_lab, asked through their api actors and, for HTTP, through their fronts.
// Owner:  one test.
// Units:  virtual time of the lab.
// Errors: answers are as a client would get them.
// Source: ours.
#pragma once

#include "actors/apiserver/api_actor.hpp"
#include "actors/apiserver/bootstrap.hpp"
#include "actors/apiserver/front.hpp"
#include "actors/apiserver/limits.hpp"
#include "actors/apiserver/route.hpp"
#include "net/http/server.hpp"
#include "tests/support/api_lab.hpp"
#include "tests/support/group_lab.hpp"

#include <caf/send.hpp>

#include <optional>

namespace troupe::test {

/// A request's other side: keeps what is sent. The test's thread is the connection's.
struct heard final : http::exchange {
  struct stream final : http::body_stream {
    explicit stream(heard& h) : to(h) {}
    bool write(std::string_view bytes) override {
      to.streamed.append(bytes);
      return true;
    }
    void on_drained(std::function<void()>) override {}
    void on_closed(std::function<void()> fn) override { closed = std::move(fn); }
    void end() override { to.ended = true; }
    void abort() override { to.ended = true; }
    void post(std::function<void()> fn) override { to.posted.push_back(std::move(fn)); }
    void after(std::chrono::milliseconds, std::function<void()>) override {}
    heard& to;
    std::function<void()> closed;
  };

  ~heard() override {
    if (opened && opened->closed) std::exchange(opened->closed, nullptr)();
  }
  void send(http::reply r) override { answer = std::move(r); }
  std::function<void(http::reply)> defer() override {
    return [this](http::reply r) { answer = std::move(r); };
  }
  http::body_stream_ptr stream(int code, std::string_view, http::header_list) override {
    stream_code = code;
    return opened = std::make_shared<struct stream>(*this);
  }
  std::function<void(std::function<void(http::exchange&)>)> defer_any() override {
    return [this](const std::function<void(http::exchange&)>& fn) { fn(*this); };
  }
  void upgrade(std::string, std::function<void(http::web_socket_ptr)>) override {}

  /// Does what was posted to the connection's thread meanwhile.
  void catch_up() {
    while (!posted.empty())
      for (auto& fn : std::exchange(posted, {}))
        fn();
  }

  int code() const { return answer ? answer->code : stream_code; }
  std::string text() const { return answer ? answer->body + std::string(answer->shared) : std::string{}; }
  std::string header(std::string_view name) const {
    if (answer)
      for (const auto& [k, v] : answer->headers)
        if (k == name) return v;
    return {};
  }

  std::optional<http::reply> answer;
  std::shared_ptr<struct stream> opened;
  std::vector<std::function<void()>> posted;
  std::string streamed;
  int stream_code = 0;
  bool ended = false;
};

class api_group {
public:
  api_group() {
    for (std::uint64_t i = 1; i <= 3; ++i) {
      rows.emplace_back();
      rows.back().id = store::member_id{i};
      rows.back().name = "m" + std::to_string(i);
      rows.back().address = "10.0.0." + std::to_string(i);
    }
    for (std::uint64_t i = 1; i <= 3; ++i)
      open(i);
  }
  ~api_group() {
    for (auto& m : members)
      close(m);
    lab.run();
  }

  struct member {
    apiserver::services_ptr s;
    api_actor api;
    std::unique_ptr<apiserver::front> front;
    caf::actor boot;
  };
  group_lab lab{3};
  std::vector<master_row> rows;
  std::vector<member> members;

  member& at(std::uint64_t i) { return members.at(i - 1); }

  /// m1 leads and everybody is ready.
  void begin() {
    lab.lead(1);
    lab.step(std::chrono::seconds(1));
  }

  /// A call at member i that may not have been answered yet.
  std::shared_ptr<response_ptr> call(std::uint64_t i, std::string_view method, std::string_view target,
                                     std::string_view body = {}, std::uint64_t fence = 0) {
    auto answer = std::make_shared<response_ptr>();
    auto c = std::make_shared<api_call>();
    auto r = make(method, target, body);
    r->fence_term = fence;
    c->req = r;
    c->done = [answer](response_ptr got) { *answer = std::move(got); };
    caf::anon_send(at(i).api, api_call_ptr(std::move(c)));
    lab.run();
    return answer;
  }
  int code(std::uint64_t i, std::string_view method, std::string_view target, std::string_view body = {}) {
    auto a = call(i, method, target, body);
    return *a ? (*a)->code : 0;
  }
  static json::value body(const response_ptr& r) {
    const auto text = r->error ? r->error->to_bytes() : r->object ? std::string(r->object->bytes) : r->body;
    return json::parse(text);
  }

  /// The same through the HTTP front; GET only.
  void http(std::uint64_t i, std::string_view path, std::string_view query, heard& h) {
    static const http::peer_info admin{"127.0.0.1", [] {
                                         auto who = std::make_shared<identity>();
                                         who->user = "kubernetes-admin";
                                         who->groups = {"system:masters", "system:authenticated"};
                                         return who;
                                       }()};
    http::request_view v;
    v.method = "GET";
    v.path = v.target = path;
    v.query = query;
    v.peer = &admin;
    at(i).front->on_request(v, h);
    lab.run();
  }

private:
  void open(std::uint64_t i) {
    auto& l = lab.at(i);
    member m;
    m.s = std::make_shared<apiserver::services>();
    auto& o = m.s->options;
    o.pki = test_pki();
    o.raft = l.raft;
    o.group = l.group;
    o.state = l.state;
    o.hub = l.hub;
    o.self = rows.at(i - 1);
    o.founders = rows;
    m.s->seed = 100 + i;
    m.s->service_ips = *apiserver::ip_range::parse("10.96.0.0/28"); // small, so that choices meet
    m.s->tokens = *tls::token_signer::make(test_pki()->service_account_key_pem, "api");
    m.s->rbac = std::make_shared<apiserver::rbac_index>(l.state, l.hub);
    m.s->pins = std::make_shared<apiserver::view_pins>();
    m.s->server_address = o.self.address + ":6443";
    m.api = apiserver::spawn_api_actor(lab.system, m.s, 0);
    m.front = std::make_unique<apiserver::front>(lab.system, m.s, std::vector<api_actor>{m.api});
    m.boot = apiserver::spawn_bootstrap(lab.system, m.s);
    members.push_back(std::move(m));
  }
  static void close(member& m) {
    m.front.reset();
    caf::anon_send_exit(m.api, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(m.boot, caf::exit_reason::user_shutdown);
    m.api = nullptr;
    m.boot = nullptr;
  }

  static std::shared_ptr<request> make(std::string_view method, std::string_view target, std::string_view body) {
    const auto mark = target.find('?');
    auto path = apiserver::parse_route(method, target.substr(0, mark));
    auto r = std::make_shared<request>();
    r->who.user = "kubernetes-admin";
    r->who.groups = {"system:masters", "system:authenticated"};
    r->what = path.what;
    r->group = path.group;
    r->version = path.version;
    r->ns = path.ns;
    r->plural = path.plural;
    r->name = path.name;
    r->subresource = path.subresource;
    r->content_type = "application/json";
    if (mark != std::string_view::npos) http::parse_query(target.substr(mark + 1), r->query);
    if (!body.empty()) r->body = std::string(body);
    return r;
  }
};

} // namespace troupe::test
