// server: the HTTPS front: accepts, speaks HTTP/1.1 and WebSocket, and hands each request to one handler.
// Owner:  io threads of its own, one io_context each; a connection lives on one of them for its whole life.
// Units:  net/http/limits.hpp.
// Errors: broken TLS, HTTP or timing ends that connection only. Port in use and the like: status from start().
// Source: RFC 9112, RFC 6455; ours: a handler may answer at once on the io thread, with no allocation in between.
#pragma once

#include "api/identity.hpp"
#include "api/status.hpp"
#include "net/tls/context.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::http {

/// Who is on the other end; one per connection.
struct peer_info {
  std::string address;
  std::shared_ptr<const identity> certificate; // null without a client certificate
};

/// One request; every view is valid until the handler returns.
struct request_view {
  std::string_view method;
  std::string_view target; // as sent
  std::string_view path;   // undecoded, without the query
  std::string_view query;  // undecoded, without '?'
  std::string_view body;
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  const peer_info* peer = nullptr;
  bool upgrade_websocket = false;
  /// First value of the header, compared without case.
  std::string_view header(std::string_view name) const noexcept;
};

using header_list = std::vector<std::pair<std::string, std::string>>;

/// What goes back. `body` or, when `keep` is set, the bytes `shared` refers to, kept alive by `keep` and sent as
/// they are; `tail` follows either.
struct reply {
  int code = 200;
  std::string_view content_type = "application/json"; // static storage or kept by the reply's maker until sent
  header_list headers;
  std::string body;
  std::shared_ptr<const void> keep;
  std::string_view shared;
  std::string_view tail; // static storage
  bool may_compress = true;
};

/// Stream of chunks: watch and logs. All members are called on the connection's io thread.
class body_stream {
public:
  virtual ~body_stream() = default;
  /// Queues bytes as one chunk. Returns false when more than limits::stream_buffer_bytes_max wait: then wait for
  /// on_drained.
  virtual bool write(std::string_view bytes) = 0;
  virtual void on_drained(std::function<void()> fn) = 0;
  /// Called once when the peer is gone or the server stops.
  virtual void on_closed(std::function<void()> fn) = 0;
  /// Ends the answer; the connection lives on.
  virtual void end() = 0;
  /// Cuts the connection so that the peer sees that the answer is incomplete.
  virtual void abort() = 0;
  /// Runs `fn` on this connection's io thread; from any thread.
  virtual void post(std::function<void()> fn) = 0;
  virtual void after(std::chrono::milliseconds delay, std::function<void()> fn) = 0;
};
using body_stream_ptr = std::shared_ptr<body_stream>;

/// A WebSocket. All members are called on the connection's io thread, except post.
class web_socket {
public:
  virtual ~web_socket() = default;
  virtual bool write(std::string message, bool binary) = 0; // as body_stream::write
  virtual void on_message(std::function<void(std::string_view message, bool binary)> fn) = 0;
  virtual void on_drained(std::function<void()> fn) = 0;
  virtual void on_closed(std::function<void()> fn) = 0;
  /// Stops and resumes reading: how a slow pod holds back a fast client.
  virtual void pause_reading(bool paused) = 0;
  /// Sends what is queued, then the close frame.
  virtual void close(std::uint16_t code = 1000, std::string reason = {}) = 0;
  virtual void post(std::function<void()> fn) = 0;
  virtual void after(std::chrono::milliseconds delay, std::function<void()> fn) = 0;
};
using web_socket_ptr = std::shared_ptr<web_socket>;

/// The answering side of one request. Exactly one of reply, stream, upgrade or defer is called before the handler
/// returns.
class exchange {
public:
  virtual ~exchange() = default;
  virtual void send(reply r) = 0;
  /// Answers later, from any thread; the returned function is called once. Dropping it answers 500.
  virtual std::function<void(reply)> defer() = 0;
  /// Begins a chunked answer; headers leave at once.
  virtual body_stream_ptr stream(int code, std::string_view content_type, header_list headers) = 0;
  /// Begins a stream or upgrade later; from any thread, then as above on the io thread.
  virtual std::function<void(std::function<void(exchange&)>)> defer_any() = 0;
  /// Completes the WebSocket handshake with that subprotocol ("" for none).
  virtual void upgrade(std::string subprotocol, std::function<void(web_socket_ptr)> opened) = 0;
};

using handler = std::function<void(const request_view&, exchange&)>;

struct server_options {
  std::string address = "0.0.0.0";
  std::uint16_t port = 0; // 0: ephemeral
  unsigned threads = 2;
  std::shared_ptr<tls::server_context> tls; // null: plain HTTP, for health endpoints
  std::size_t connections_max = 0;          // 0: limits::connections_max
  std::chrono::milliseconds handshake_timeout{0}, request_timeout{0}, idle_timeout{0}; // 0: limits
};

struct server_stats {
  std::uint64_t connections = 0, accepted = 0, requests = 0, handshakes_failed = 0;
};

class server {
public:
  static result<std::shared_ptr<server>> start(server_options options, handler on_request);
  virtual ~server() = default; // stops
  virtual std::uint16_t port() const noexcept = 0;
  /// Closes the listener and every connection, joins the threads. Idempotent; not from a handler.
  virtual void stop() = 0;
  virtual server_stats stats() const = 0;
};

/// Percent-decodes; '+' becomes a blank when `form`. False when malformed.
bool url_decode(std::string_view in, std::string& out, bool form);
/// Splits and decodes a query string; false when malformed.
bool parse_query(std::string_view query, std::vector<std::pair<std::string, std::string>>& out);

} // namespace troupe::http
