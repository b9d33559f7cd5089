// handshake: the TLS half of making a session, step by step, for the dialer and the listener of this folder only.
// Owner:  the thread that owns the descriptor.
// Units:  -
// Errors: what the certificate check, OpenSSL or the peer said, as a part of a sentence.
// Source: OpenSSL 3; the socket BIO is ours because OpenSSL's own raises SIGPIPE.
#pragma once

#include "net/link/secure_session.hpp"

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

namespace troupe::link::detail {

/// Names as ALPN carries them: each with its length in front.
std::string alpn_list(const std::vector<std::string>& protocols);

/// Null when OpenSSL has no memory. `protocols` of the server must outlive the handshake.
std::shared_ptr<SSL> begin_client(const session_tls& tls, int fd, const std::string& protocols);
std::shared_ptr<SSL> begin_server(const session_tls& tls, int fd, const std::string* protocols);

/// `moved` when the handshake is done.
io_step::what handshake_step(SSL* ssl, std::string& why);
/// After it is done: who the peer is and what is spoken.
void finish_handshake(session& s);

/// Static text, safe among threads; "unknown error" for numbers without one.
const char* errno_text(int number) noexcept;

/// "10.0.0.2:6444" of the other end; "unknown" when it is gone.
std::string peer_text(int fd);
/// No delay, keepalive by limits.hpp.
void tune_socket(int fd);

enum class wait_end : std::uint8_t { ready, late, stopped };
/// Blocks until the descriptor is ready (or broken), the deadline has passed or `stop_fd` is readable.
wait_end wait_for(int fd, io_step::what needed, deadline by, int stop_fd);

} // namespace troupe::link::detail
