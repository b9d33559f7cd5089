#include "actors/apiserver/front.hpp"

#include "actors/apiserver/api_actor.hpp"
#include "actors/apiserver/authenticate.hpp"
#include "actors/apiserver/authorize.hpp"
#include "actors/apiserver/freshness.hpp"
#include "actors/apiserver/watch_session.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>

#include <random>

namespace troupe::apiserver {

namespace {

sys_micros wall() { return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now()); }

random_source& thread_random() {
  static thread_local random_source r = [] {
    std::random_device device;
    return random_source((static_cast<std::uint64_t>(device()) << 32) ^ device());
  }();
  return r;
}

bool truthy(std::string_view v) { return v == "true" || v == "1"; }

/// Takes the request apart into `r`, whose strings are reused from the last one on this thread.
bool fill(request& r, const http::request_view& v, route& path) {
  r.group = std::move(path.group);
  r.version = std::move(path.version);
  r.plural = std::move(path.plural);
  r.ns = std::move(path.ns);
  r.name = std::move(path.name);
  r.subresource = std::move(path.subresource);
  r.what = path.what;
  r.query.clear();
  r.body = std::monostate{};
  r.content_type.clear();
  r.fence_term = 0;
  if (!v.query.empty() && !http::parse_query(v.query, r.query)) return false;
  r.accept = v.header("accept");
  r.user_agent = v.header("user-agent");
  if (v.method == "GET" && (r.what == verb::get || r.what == verb::list)) {
    if (truthy(r.param("watch"))) {
      // The old form: a watch on one name is a watch on the collection with that name selected.
      r.what = verb::watch;
    }
  }
  if (r.what == verb::watch && !r.name.empty()) {
    r.query.emplace_back("fieldSelector", "metadata.name=" + r.name);
    r.name.clear();
  }
  return true;
}

bool is_connect(const request& r) {
  const auto* res = schema::registry::get().find(r.group, r.version, r.plural);
  const auto* sub = res && !r.subresource.empty() ? res->sub(r.subresource) : nullptr;
  return sub && sub->connect;
}

} // namespace

front::front(caf::actor_system& sys, services_ptr s, std::vector<api_actor> actors)
    : sys_(sys), s_(std::move(s)), actors_(std::move(actors)) {}

void count(services& s, verb what, int code) {
  s.counted.by_verb[static_cast<std::size_t>(what)].fetch_add(1, std::memory_order_relaxed);
  const auto cls = static_cast<std::size_t>(code / 100);
  if (cls < s.counted.by_class.size()) s.counted.by_class[cls].fetch_add(1, std::memory_order_relaxed);
}

http::reply to_reply(response r) {
  http::reply out;
  out.code = r.code;
  out.headers = std::move(r.headers);
  if (r.error) {
    out.body = r.error->to_bytes();
  } else if (r.object) {
    out.shared = r.object->bytes;
    out.keep = std::move(r.object);
    out.tail = "\n";
  } else {
    out.body = std::move(r.body);
  }
  if (r.content_type == "application/json")
    out.content_type = "application/json";
  else if (r.content_type == "application/yaml")
    out.content_type = "application/yaml";
  else {
    out.content_type = {};
    out.headers.emplace_back("Content-Type", std::move(r.content_type));
  }
  return out;
}

void send_status(http::exchange& x, const status& s) {
  response r;
  r.code = s.code;
  if (s.retry_after_s > 0) r.headers.emplace_back("Retry-After", std::to_string(s.retry_after_s));
  r.error = std::make_shared<const status>(s);
  x.send(to_reply(std::move(r)));
}

result<std::shared_ptr<const identity>> identify(services& s, const http::request_view& v, const store::view& state) {
  auto authorization = v.header("authorization");
  std::string from_protocol;
  if (authorization.empty() && v.upgrade_websocket) {
    constexpr std::string_view mark = "base64url.bearer.authorization.k8s.io.";
    auto offered = v.header("sec-websocket-protocol");
    if (const auto at = offered.find(mark); at != std::string_view::npos) {
      offered.remove_prefix(at + mark.size());
      std::string token;
      if (!tls::base64url_decode(offered.substr(0, offered.find_first_of(", ")), token)) return errors::unauthorized();
      from_protocol = "Bearer " + token;
      authorization = from_protocol;
    }
  }
  auto who = authenticate(s, v.peer->certificate, authorization, state, std::chrono::system_clock::now());
  if (!who) return who.error();
  for (const auto& [name, value] : v.headers) {
    if (name.size() < 12 || (name[0] | 32) != 'i' || (name[1] | 32) != 'm') continue;
    auto as = impersonate(s, **who, v.headers, state);
    if (!as) return as.error();
    if (*as) return *as;
    break;
  }
  return who;
}

void front::on_request(const http::request_view& v, http::exchange& x) {
  const auto path = v.path;
  const bool core = path.substr(0, 5) == "/api/", grouped = path.substr(0, 6) == "/apis/";
  if (core || grouped) return resource_call(v, x);
  other_path(s_, v, x);
}

void front::resource_call(const http::request_view& v, http::exchange& x) {
  static thread_local request r;
  auto path = parse_route(v.method, v.path);
  if (!path.resource) return other_path(s_, v, x);
  const auto state = s_->view();
  auto who = identify(*s_, v, *state);
  if (!who) return send_status(x, who.error());
  r.who = **who;
  if (!fill(r, v, path)) return send_status(x, errors::bad_request("the query string cannot be decoded"));
  if (v.method != "GET" && v.method != "HEAD" && v.method != "POST" && v.method != "PUT" && v.method != "PATCH" &&
      v.method != "DELETE")
    return send_status(x, errors::method_not_allowed(v.method, {r.group, r.plural}));
  if (!r.subresource.empty()) {
    if (is_connect(r)) r.what = verb::connect;
    if (r.what == verb::connect || (r.subresource == "log" && r.plural == "pods" && r.what == verb::get))
      return open_stream_call(v, x, r);
  }
  switch (r.what) {
  case verb::get:
  case verb::list:
    if (!fresh_now(*s_, r)) return read_later(x, r);
    return read_now(x, r, state);
  case verb::watch: return watch_call(v, x, r);
  default: return write_call(v, x, r);
  }
}

void front::read_now(http::exchange& x, const request& r, store::view_ptr state) {
  const auto answer = answer_read(*s_, r, std::move(state), wall());
  count(*s_, r.what, answer->code);
  x.send(to_reply(std::move(*std::const_pointer_cast<response>(answer))));
}

/// On the io thread again once the state is fresh enough.
void front::read_later(http::exchange& x, const request& r) {
  auto go = x.defer_any();
  auto req = std::make_shared<const request>(r);
  wait_until_fresh(s_, freshness_of(r), [this, s = s_, go = std::move(go), req](const status& fresh) {
    go([this, s, req, fresh](http::exchange& later) {
      if (fresh.code == 0) return read_now(later, *req, s->view());
      count(*s, req->what, fresh.code);
      send_status(later, fresh);
    });
  });
}

void front::write_call(const http::request_view& v, http::exchange& x, const request& r) {
  auto call = std::make_shared<api_call>();
  auto req = std::make_shared<request>(r);
  req->content_type = v.header("content-type");
  if (!v.body.empty()) req->body = std::string(v.body);
  call->done = [done = x.defer(), s = s_, what = r.what](response_ptr answer) {
    count(*s, what, answer->code);
    done(to_reply(std::move(*std::const_pointer_cast<response>(answer)))); // nobody else holds it
  };
  call->req = std::move(req);
  const auto i = next_.fetch_add(1, std::memory_order_relaxed) % actors_.size();
  caf::anon_send(actors_[i], api_call_ptr(std::move(call)));
}

void front::watch_call(const http::request_view& v, http::exchange& x, const request& r) {
  if (fresh_now(*s_, r)) return begin_watch(x, r, v.upgrade_websocket);
  auto go = x.defer_any();
  auto req = std::make_shared<const request>(r);
  wait_until_fresh(s_, freshness_of(r),
                   [this, s = s_, go = std::move(go), req, socket = v.upgrade_websocket](const status& fresh) {
                     go([this, s, req, fresh, socket](http::exchange& later) {
                       if (fresh.code == 0) return begin_watch(later, *req, socket);
                       count(*s, req->what, fresh.code);
                       send_status(later, fresh);
                     });
                   });
}

/// A pod that was just bound elsewhere must be found: streams look at the newest state.
void front::open_stream_call(const http::request_view& v, http::exchange& x, const request& r) {
  stream_ask ask{std::string(v.method), std::string(v.header("upgrade")),
                 std::string(v.header("sec-websocket-protocol")), v.upgrade_websocket};
  if (s_->alone()) return stream_call(sys_, s_, ask, x, r);
  auto go = x.defer_any();
  auto req = std::make_shared<const request>(r);
  wait_until_fresh(s_, {freshness::kind::newest, 0},
                   [this, go = std::move(go), req, ask = std::move(ask)](const status& fresh) {
                     go([this, req, ask, fresh](http::exchange& later) {
                       if (fresh.code == 0) return stream_call(sys_, s_, ask, later, *req);
                       send_status(later, fresh);
                     });
                   });
}

void front::begin_watch(http::exchange& x, const request& r, bool socket) {
  const auto state = s_->view();
  if (auto ok = authorize(*s_, r, "watch", *state); !ok) return send_status(x, ok.error());
  auto plan = plan_watch(*s_, r, *state, thread_random());
  if (!plan) return send_status(x, plan.error());
  count(*s_, verb::watch, 200);
  if (socket) {
    auto shared = std::make_shared<watch_plan>(std::move(*plan));
    return x.upgrade({}, [s = s_, shared](http::web_socket_ptr opened) {
      run_watch(s, std::move(*shared), sink_of(std::move(opened)));
    });
  }
  auto stream = x.stream(200, plan->form.content_type(), {});
  run_watch(s_, std::move(*plan), sink_of(std::move(stream)));
}

} // namespace troupe::apiserver
