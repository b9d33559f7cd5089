// connection: one client: handshake, requests one after another, answers in one write, streams.
// Owner:  one reactor; kept alive by its pending operations and by whoever still has to answer.
// Units:  net/http/limits.hpp.
// Errors: anything wrong ends this connection only.
// Source: RFC 9112; ours: while an answer is pending no further request is read, so pipelining is safe.
#pragma once

#include "net/http/parser.hpp"
#include "net/http/reactor.hpp"
#include "net/http/socket.hpp"

#include <deque>

namespace troupe::http {

using steady = std::chrono::steady_clock;

class connection final : public exchange, public std::enable_shared_from_this<connection> {
public:
  connection(reactor& home, tcp::socket s, std::shared_ptr<SSL_CTX> ctx, bool refuse);
  ~connection() override;

  void begin();
  void sweep(steady::time_point now);
  void cut(); // closes at once

  // exchange
  void send(reply r) override;
  std::function<void(reply)> defer() override;
  body_stream_ptr stream(int code, std::string_view content_type, header_list headers) override;
  std::function<void(std::function<void(exchange&)>)> defer_any() override;
  void upgrade(std::string subprotocol, std::function<void(web_socket_ptr)> opened) override;

private:
  friend class chunk_stream;
  enum class phase { handshake, reading, handling, deferred, writing, lingering, streaming, upgraded, closed };
  struct segment {
    std::string own;
    std::shared_ptr<const void> keep;
    std::string_view rest; // into own or what keep holds
  };

  void step_handshake();
  void turn(); // reads, parses and dispatches until something has to be waited for
  void take(const char* data, std::size_t size);
  bool dispatch();
  void refuse_with(int code, std::string_view reason, std::string message);
  void wait_readable(io why);
  void finish(reply r);
  void answered();
  void linger();
  void discard(); // reads what a refused client still sends
  void put(std::string_view head, std::string_view body, const std::shared_ptr<const void>& keep,
           std::string_view tail);
  void enqueue(std::string bytes);
  void flush();
  void watch_for_eof();
  void drop();
  void on_stream_queue_empty();
  std::chrono::milliseconds limit_of(std::chrono::milliseconds chosen, std::chrono::milliseconds usual) const {
    return chosen.count() > 0 ? chosen : usual;
  }
  void deadline_in(std::chrono::milliseconds t) { deadline_ = steady::now() + t; }

  reactor& home_;
  socket sock_;
  peer_info peer_;
  request_parser parser_;
  request_view view_;
  std::string pending_; // read but not yet parsed: pipelined requests
  phase phase_ = phase::handshake;
  steady::time_point deadline_, linger_end_;
  std::size_t discarded_bytes_ = 0;
  std::deque<segment> out_;
  std::size_t out_bytes_ = 0;
  bool close_after_ = false, linger_after_ = false, head_only_ = false, refuse_ = false, continued_ = false;
  bool waiting_write_ = false, waiting_read_ = false, turning_ = false, accepts_gzip_ = false, in_handler_ = false;
  std::shared_ptr<class chunk_stream> stream_;
};

} // namespace troupe::http
