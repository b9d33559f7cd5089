// front: from HTTP to requests and back: reads are answered on the io thread, writes go to the api actors.
// Owner:  the HTTP server's io threads call on_request at the same time; everything here is thread-safe.
// Units:  -
// Errors: every request gets an answer; Status bodies for the API, plain text for unknown paths.
// Source: k8s API sections 1, 6, 21, 23.
#pragma once

#include "actors/apiserver/services.hpp"
#include "net/http/server.hpp"

#include <caf/fwd.hpp>

namespace troupe::apiserver {

class front {
public:
  front(caf::actor_system& sys, services_ptr s, std::vector<api_actor> actors);
  void on_request(const http::request_view& v, http::exchange& x);

private:
  void resource_call(const http::request_view& v, http::exchange& x);
  void read_now(http::exchange& x, const request& r, store::view_ptr state);
  void read_later(http::exchange& x, const request& r);
  void write_call(const http::request_view& v, http::exchange& x, const request& r);
  void watch_call(const http::request_view& v, http::exchange& x, const request& r);
  void open_stream_call(const http::request_view& v, http::exchange& x, const request& r);
  void begin_watch(http::exchange& x, const request& r, bool socket);

  caf::actor_system& sys_;
  services_ptr s_;
  std::vector<api_actor> actors_;
  std::atomic<unsigned> next_{0};
};

/// Who asks, impersonation included; also from a WebSocket's bearer subprotocol.
result<std::shared_ptr<const identity>> identify(services& s, const http::request_view& v, const store::view& state);
http::reply to_reply(response r);
void send_status(http::exchange& x, const status& s);
void count(services& s, verb what, int code);

/// Discovery, OpenAPI, health, version, metrics, keys, and Troupe's own paths.
void other_path(const services_ptr& s, const http::request_view& v, http::exchange& x);
/// `raft`: the Raft actor's status, or null.
std::string metrics_text(services& s, const json::value& raft);

/// What of an HTTP request decides how a stream is opened.
struct stream_ask {
  std::string method, upgrade, protocols; // headers Upgrade and Sec-WebSocket-Protocol
  bool websocket = false;
};

/// exec, attach, port-forward and log: `r` is authorized here.
void stream_call(caf::actor_system& sys, services_ptr s, const stream_ask& v, http::exchange& x, const request& r);

} // namespace troupe::apiserver
