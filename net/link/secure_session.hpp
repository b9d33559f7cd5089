// secure_session: a connected stream between two nodes: mutual TLS over TCP, made with deadlines, for any event loop.
// Owner:  one thread at a time. The descriptor is non-blocking, so a session may be handed to any event loop.
// Units:  deadlines are steady_clock instants; a frame is a 4-byte big-endian length and that many bytes.
// Errors: a status whose sentence names the peer's address and what failed; SIGPIPE is never raised.
// Source: OpenSSL 3; design section 9. Plain TCP exists for benchmarks: it is what a null session_tls means.
#pragma once

#include "api/identity.hpp"
#include "api/status.hpp"
#include "net/tls/pki.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct ssl_st;
struct ssl_ctx_st;

namespace troupe::link {

using deadline = std::chrono::steady_clock::time_point;

/// What a session speaks; negotiated by ALPN, so that one port serves both.
inline constexpr const char* masters_protocol = "troupe-masters/1";
inline constexpr const char* workers_protocol = "troupe-link/1";

/// The contexts of both directions. A side that listens needs a certificate for servers, a side that dials one for
/// clients; a peer without a certificate of `ca_pem` never gets a session.
struct session_tls {
  std::shared_ptr<ssl_ctx_st> client, server;
};
result<std::shared_ptr<const session_tls>> make_session_tls(const std::string& ca_pem, const tls::key_pair& own);

/// Outcome of one non-blocking step. `closed`: the peer ended the stream, or it failed; nothing more will come.
struct io_step {
  enum class what : std::uint8_t { moved, want_read, want_write, closed } state = what::closed;
  std::size_t bytes = 0; // of `moved`
};

class session {
public:
  session() = default;
  session(int fd, std::string peer_address); // takes the descriptor: connected, non-blocking
  session(session&& other) noexcept;
  session& operator=(session&& other) noexcept;
  session(const session&) = delete;
  session& operator=(const session&) = delete;
  ~session(); // close_notify where possible, then closes

  explicit operator bool() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  ssl_st* tls() const { return tls_.get(); } // null: plain TCP
  /// Of the peer's certificate: CN as user, every O as a group. Empty over plain TCP.
  const identity& peer() const { return peer_; }
  const std::string& peer_address() const { return peer_address_; } // "10.0.0.2:41234"
  const std::string& protocol() const { return protocol_; }         // what ALPN agreed on

  io_step read_some(char* into, std::size_t bytes_max) noexcept;
  io_step write_some(const char* from, std::size_t bytes) noexcept;
  /// Bytes that `read_some` yields without the descriptor becoming readable: look here before waiting for it.
  bool has_buffered() const noexcept;
  /// After `closed`: what OpenSSL or the system said, or "the peer closed the connection".
  const char* why_closed() const noexcept { return why_; }
  void close() noexcept;

  /// For an event loop that owns and closes descriptors itself: it must keep both, and free `tls` before it closes.
  struct parts {
    int fd = -1;
    std::shared_ptr<ssl_st> tls;
  };
  parts release();

  // Of the handshake, in this folder.
  void attach(std::shared_ptr<ssl_st> tls) { tls_ = std::move(tls); }
  void establish(identity peer, std::string protocol);

private:
  int fd_ = -1;
  std::shared_ptr<ssl_st> tls_;
  identity peer_;
  std::string peer_address_, protocol_;
  const char* why_ = "";
};

/// The steps of a session, for loops that hold its parts; `tls` null: plain TCP. `why` is set when it is closed.
io_step stream_read(int fd, ssl_st* tls, char* into, std::size_t bytes_max, const char*& why) noexcept;
io_step stream_write(int fd, ssl_st* tls, const char* from, std::size_t bytes, const char*& why) noexcept;

struct dial_options {
  std::string address; // IP address, or a name (resolving one is not bounded by the deadline)
  std::uint16_t port = 0;
  std::shared_ptr<const session_tls> tls; // null: plain TCP, for benchmarks
  std::string protocol = workers_protocol;
  deadline by;
  int stop_fd = -1; // readable: give up at once
};
/// Blocks until the session is established: connected, handshake done, the peer's certificate verified against the
/// cluster's CA, protocol agreed on. Who the peer is, is for the caller to check.
result<session> dial(const dial_options& options);

/// Blocks; the frame goes out whole or the session is of no use any more.
result<void> write_frame(session& s, std::string_view payload, deadline by, int stop_fd = -1);
/// Blocks; refuses a frame above `bytes_max` without reading it. Reads not one byte beyond the frame.
result<std::string> read_frame(session& s, std::size_t bytes_max, deadline by, int stop_fd = -1);

} // namespace troupe::link
