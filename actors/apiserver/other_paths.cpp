// Paths that are no resources: discovery, OpenAPI, health, version, metrics, keys, Troupe's own.
#include "actors/apiserver/api_actor.hpp"
#include "actors/apiserver/authenticate.hpp"
#include "actors/apiserver/authorize.hpp"
#include "actors/apiserver/freshness.hpp"
#include "actors/apiserver/front.hpp"
#include "api/schema/discovery.hpp"
#include "api/schema/openapi.hpp"
#include "api/version.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

#include <sys/utsname.h>

#include <algorithm>

namespace troupe::apiserver {

namespace {

void send_text(http::exchange& x, int code, std::string_view type, std::string body) {
  http::reply r;
  r.code = code;
  r.content_type = type;
  r.body = std::move(body);
  x.send(std::move(r));
}

void send_static(http::exchange& x, const schema::static_reply& s) {
  http::reply r;
  r.code = s.code;
  r.content_type = {};
  r.headers = s.headers;
  r.headers.emplace_back("Content-Type", s.content_type);
  if (s.body) {
    r.keep = s.body;
    r.shared = *s.body;
  }
  x.send(std::move(r));
}

struct check {
  std::string name, fault;
};

std::vector<check> run_checks(services& s, bool readiness) {
  std::vector<check> out;
  out.push_back({"ping", ""});
  out.push_back({"group", group_fault(s)});
  out.push_back({"store", s.view() ? "" : "no view of the store"});
  out.push_back({"bootstrap", s.ready ? "" : "the bootstrap objects are not there yet"});
  if (readiness)
    for (const auto& [name, fn] : s.options.ready_checks)
      out.push_back({name, fn()});
  return out;
}

void health(services& s, const http::request_view& v, http::exchange& x) {
  const auto root = v.path.substr(1, v.path.find('/', 1) - 1);
  const auto only = v.path.size() > root.size() + 2 ? std::string(v.path.substr(root.size() + 2)) : std::string{};
  std::vector<std::pair<std::string, std::string>> query;
  http::parse_query(v.query, query);
  bool verbose = false;
  std::vector<std::string> excluded;
  for (const auto& [k, val] : query) {
    verbose = verbose || k == "verbose";
    if (k == "exclude") excluded.push_back(val);
  }
  auto checks = run_checks(s, root == "readyz");
  // A master without a leader lives: starting it again would help nobody.
  if (root == "livez") std::erase_if(checks, [](const check& c) { return c.name == "bootstrap" || c.name == "group"; });
  if (!only.empty()) {
    std::erase_if(checks, [&](const check& c) { return c.name != only; });
    if (checks.empty()) return send_text(x, 404, "text/plain; charset=utf-8", "404 page not found\n");
  }
  std::string text;
  bool good = true;
  for (const auto& c : checks) {
    if (std::find(excluded.begin(), excluded.end(), c.name) != excluded.end()) {
      text += "[+]" + c.name + " excluded: ok\n";
      continue;
    }
    if (c.fault.empty()) {
      text += "[+]" + c.name + " ok\n";
    } else {
      good = false;
      text += "[-]" + c.name + " failed: " + (c.name == "group" ? c.fault : "reason withheld") + "\n";
    }
  }
  const std::string title{root};
  if (good) return send_text(x, 200, "text/plain; charset=utf-8", verbose ? text + title + " check passed\n" : "ok");
  send_text(x, 500, "text/plain; charset=utf-8", text + title + " check failed\n");
}

std::string version_text() {
  utsname u{};
  uname(&u);
  const std::string machine = std::string_view(u.machine) == "x86_64"    ? "amd64"
                              : std::string_view(u.machine) == "aarch64" ? "arm64"
                                                                         : u.machine;
  json::object o;
  o["major"] = version::kubernetes_major;
  o["minor"] = version::kubernetes_minor;
  o["gitVersion"] = version::git_version;
  o["gitCommit"] = "";
  o["gitTreeState"] = "clean";
  o["buildDate"] = version::build_date;
  o["goVersion"] = "none (C++20)";
  o["compiler"] = "g++ " __VERSION__;
  o["platform"] = "linux/" + machine;
  return json::serialize(o) + "\n";
}

std::string root_paths() {
  json::array paths;
  for (const char* p : {"/.well-known/openid-configuration", "/api", "/api/v1", "/apis"})
    paths.push_back(json::string(p));
  for (const auto& g : schema::registry::get().groups()) {
    if (g.name.empty()) continue;
    paths.push_back(json::string("/apis/" + g.name));
    for (const auto& v : g.versions)
      paths.push_back(json::string("/apis/" + g.name + "/" + v));
  }
  for (const char* p :
       {"/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version"})
    paths.push_back(json::string(p));
  json::object o;
  o["paths"] = std::move(paths);
  return json::serialize(o) + "\n";
}

std::string openid_configuration(const services& s) {
  json::object o;
  o["issuer"] = s.tokens->issuer();
  o["jwks_uri"] = "https://" + s.server_address + "/openid/v1/jwks";
  o["response_types_supported"] = json::array{json::value("id_token")};
  o["subject_types_supported"] = json::array{json::value("public")};
  o["id_token_signing_alg_values_supported"] = json::array{json::value("ES256")};
  return json::serialize(o);
}

constexpr std::chrono::seconds raft_patience{2};

/// The Raft actor is asked for its figures; without its answer the others are told alone.
void metrics(const services_ptr& s, http::exchange& x) {
  auto answer = [s, done = x.defer()](const json::value& raft) {
    http::reply r;
    r.content_type = "text/plain; version=0.0.4; charset=utf-8";
    r.body = metrics_text(*s, raft);
    done(std::move(r));
  };
  if (!s->options.raft) return answer(nullptr);
  caf::actor_cast<caf::actor>(s->options.raft)
      ->home_system()
      .spawn<caf::hidden>([raft = s->options.raft, answer = std::move(answer)](caf::event_based_actor* self) {
        self->request(raft, raft_patience, get_raft_status::value)
            .then(
                [answer](const std::string& text) {
                  boost::system::error_code ec;
                  auto doc = json::parse(text, ec);
                  answer(ec ? json::value(nullptr) : doc);
                },
                [answer](caf::error&) { answer(nullptr); });
      });
}

void own(services& s, const http::request_view& v, http::exchange& x, const identity& who) {
  own_call call;
  call.method = v.method;
  call.path = v.path;
  call.body = v.body;
  call.who = who;
  if (!http::parse_query(v.query, call.query))
    return send_status(x, errors::bad_request("the query string cannot be decoded"));
  call.later = x.defer_any();
  call.done = [go = call.later](response_ptr r) {
    go([r = std::move(r)](http::exchange& later) { later.send(to_reply(*r)); });
  };
  s.options.own_paths(std::move(call));
}

bool starts(std::string_view path, std::string_view with) { return path.substr(0, with.size()) == with; }
bool is_or_below(std::string_view path, std::string_view root) {
  return starts(path, root) && (path.size() == root.size() || path[root.size()] == '/');
}

} // namespace

void other_path(const services_ptr& shared, const http::request_view& v, http::exchange& x) {
  auto& s = *shared;
  const auto state = s.view();
  auto who = identify(s, v, *state);
  if (!who) return send_status(x, who.error());
  if (auto ok = authorize_path(s, **who, v.method, v.path); !ok) return send_status(x, ok.error());
  const auto path = v.path;
  if (is_or_below(path, "/troupe/v1") && s.options.own_paths) return own(s, v, x, **who);
  const bool known = is_or_below(path, "/healthz") || is_or_below(path, "/livez") || is_or_below(path, "/readyz") ||
                     path == "/version" || path == "/version/" || is_or_below(path, "/api") ||
                     is_or_below(path, "/apis") || is_or_below(path, "/openapi") || path == "/metrics" || path == "/" ||
                     path == "/openid/v1/jwks" || path == "/.well-known/openid-configuration";
  if (!known) return send_text(x, 404, "text/plain; charset=utf-8", "404 page not found\n");
  if (v.method != "GET" && v.method != "HEAD")
    return send_status(x, errors::method_not_allowed(v.method, {"", std::string_view(path).substr(1)}));
  if (is_or_below(path, "/healthz") || is_or_below(path, "/livez") || is_or_below(path, "/readyz"))
    return health(s, v, x);
  if (starts(path, "/version")) return send_text(x, 200, "application/json", version_text());
  if (is_or_below(path, "/openapi"))
    return send_static(x, schema::openapi_reply(path, v.query, v.header("accept"), v.header("if-none-match")));
  if (starts(path, "/api"))
    return send_static(x,
                       schema::discovery_reply(path, v.header("accept"), v.header("if-none-match"), s.server_address));
  if (path == "/metrics") return metrics(shared, x);
  if (path == "/openid/v1/jwks") return send_text(x, 200, "application/jwk-set+json", s.tokens->jwks());
  if (path == "/") return send_text(x, 200, "application/json", root_paths());
  send_text(x, 200, "application/json", openid_configuration(s));
}

} // namespace troupe::apiserver
