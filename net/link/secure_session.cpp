#include "net/link/secure_session.hpp"

#include "net/link/handshake.hpp"
#include "net/link/limits.hpp"
#include "net/tls/openssl.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace troupe::link {

namespace {

using what = io_step::what;
constexpr const char* ended = "the peer closed the connection";

io_step plain_end(ssize_t n, what blocked, const char*& why) {
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return {blocked, 0};
  why = n == 0 ? ended : detail::errno_text(errno);
  return {what::closed, 0};
}

io_step tls_end(SSL* tls, int r, const char*& why) {
  const int saved = errno;
  switch (SSL_get_error(tls, r)) {
  case SSL_ERROR_WANT_READ: return {what::want_read, 0};
  case SSL_ERROR_WANT_WRITE: return {what::want_write, 0};
  case SSL_ERROR_ZERO_RETURN: why = ended; break;
  case SSL_ERROR_SYSCALL: why = saved != 0 ? detail::errno_text(saved) : ended; break;
  default: {
    const char* reason = ERR_reason_error_string(ERR_peek_error());
    why = reason ? reason : "TLS failed";
  }
  }
  ERR_clear_error();
  return {what::closed, 0};
}

status failed(const std::string& address, std::uint16_t port, const std::string& why) {
  return errors::unavailable("cannot open a session to " + address + ":" + std::to_string(port) + ": " + why);
}

struct address_list {
  addrinfo* first = nullptr;
  ~address_list() {
    if (first) ::freeaddrinfo(first);
  }
};

result<session> connect_one(const addrinfo& to, const dial_options& o) {
  const int fd = ::socket(to.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(o.address, o.port, detail::errno_text(errno));
  session s{fd, o.address + ":" + std::to_string(o.port)};
  detail::tune_socket(fd);
  if (::connect(fd, to.ai_addr, to.ai_addrlen) == 0) return s;
  if (errno != EINPROGRESS) return failed(o.address, o.port, detail::errno_text(errno));
  const auto by = std::min(o.by, std::chrono::steady_clock::now() + limits::connect_patience);
  switch (detail::wait_for(fd, what::want_write, by, o.stop_fd)) {
  case detail::wait_end::late: return failed(o.address, o.port, "no answer to the connection request");
  case detail::wait_end::stopped: return failed(o.address, o.port, "given up because this side stops");
  case detail::wait_end::ready: break;
  }
  int error = 0;
  socklen_t bytes = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
  if (error != 0) return failed(o.address, o.port, detail::errno_text(error));
  return s;
}

result<session> connect_any(const dial_options& o) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV;
  address_list found;
  const auto port = std::to_string(o.port);
  if (const int r = ::getaddrinfo(o.address.c_str(), port.c_str(), &wanted, &found.first); r != 0)
    return failed(o.address, o.port, std::string("its address cannot be resolved: ") + ::gai_strerror(r));
  result<session> last = failed(o.address, o.port, "it has no address");
  for (const auto* a = found.first; a; a = a->ai_next)
    if (last = connect_one(*a, o); last) break;
  return last;
}

result<void> shake_hands(session& s, const dial_options& o) {
  auto tls = detail::begin_client(*o.tls, s.fd(), detail::alpn_list({o.protocol}));
  if (!tls) return failed(o.address, o.port, "cannot make a TLS object: " + tls::detail::last_error());
  s.attach(tls);
  std::string why;
  for (;;) {
    const auto step = detail::handshake_step(tls.get(), why);
    if (step == what::moved) break;
    if (step == what::closed) return failed(o.address, o.port, "TLS handshake failed: " + why);
    switch (detail::wait_for(s.fd(), step, o.by, o.stop_fd)) {
    case detail::wait_end::late: return failed(o.address, o.port, "it was connected but did not finish the handshake");
    case detail::wait_end::stopped: return failed(o.address, o.port, "given up because this side stops");
    case detail::wait_end::ready: break;
    }
  }
  detail::finish_handshake(s);
  if (s.protocol() != o.protocol) return failed(o.address, o.port, "it does not speak " + o.protocol);
  return {};
}

result<void> wait_or_fail(session& s, what needed, deadline by, int stop_fd) {
  switch (detail::wait_for(s.fd(), needed, by, stop_fd)) {
  case detail::wait_end::late: return errors::unavailable(s.peer_address() + " did not answer in time");
  case detail::wait_end::stopped: return errors::unavailable("the session with " + s.peer_address() + " is given up");
  case detail::wait_end::ready: break;
  }
  return {};
}

result<void> write_all(session& s, std::string_view bytes, deadline by, int stop_fd) {
  while (!bytes.empty()) {
    const auto step = s.write_some(bytes.data(), bytes.size());
    if (step.state == what::closed) return errors::unavailable(s.peer_address() + ": " + s.why_closed());
    if (step.state == what::moved) {
      bytes.remove_prefix(step.bytes);
      continue;
    }
    if (auto r = wait_or_fail(s, step.state, by, stop_fd); !r) return r;
  }
  return {};
}

result<void> read_all(session& s, char* into, std::size_t bytes, deadline by, int stop_fd) {
  while (bytes > 0) {
    const auto step = s.read_some(into, bytes);
    if (step.state == what::closed) return errors::unavailable(s.peer_address() + ": " + s.why_closed());
    if (step.state == what::moved) {
      into += step.bytes;
      bytes -= step.bytes;
      continue;
    }
    if (auto r = wait_or_fail(s, step.state, by, stop_fd); !r) return r;
  }
  return {};
}

} // namespace

io_step stream_read(int fd, ssl_st* tls, char* into, std::size_t bytes_max, const char*& why) noexcept {
  const auto ask = std::min<std::size_t>(bytes_max, INT_MAX);
  errno = 0;
  if (!tls) {
    const auto n = ::recv(fd, into, ask, 0);
    return n > 0 ? io_step{what::moved, static_cast<std::size_t>(n)} : plain_end(n, what::want_read, why);
  }
  ERR_clear_error();
  const int n = SSL_read(tls, into, static_cast<int>(ask));
  return n > 0 ? io_step{what::moved, static_cast<std::size_t>(n)} : tls_end(tls, n, why);
}

io_step stream_write(int fd, ssl_st* tls, const char* from, std::size_t bytes, const char*& why) noexcept {
  const auto ask = std::min<std::size_t>(bytes, INT_MAX);
  if (ask == 0) return {what::moved, 0};
  errno = 0;
  if (!tls) {
    const auto n = ::send(fd, from, ask, MSG_NOSIGNAL);
    return n > 0 ? io_step{what::moved, static_cast<std::size_t>(n)} : plain_end(n, what::want_write, why);
  }
  ERR_clear_error();
  const int n = SSL_write(tls, from, static_cast<int>(ask));
  return n > 0 ? io_step{what::moved, static_cast<std::size_t>(n)} : tls_end(tls, n, why);
}

session::session(int fd, std::string peer_address) : fd_(fd), peer_address_(std::move(peer_address)) {}

session::session(session&& o) noexcept
    : fd_(std::exchange(o.fd_, -1)), tls_(std::move(o.tls_)), peer_(std::move(o.peer_)),
      peer_address_(std::move(o.peer_address_)), protocol_(std::move(o.protocol_)), why_(o.why_) {}

session& session::operator=(session&& o) noexcept {
  if (this == &o) return *this;
  close();
  fd_ = std::exchange(o.fd_, -1);
  tls_ = std::move(o.tls_);
  peer_ = std::move(o.peer_);
  peer_address_ = std::move(o.peer_address_);
  protocol_ = std::move(o.protocol_);
  why_ = o.why_;
  return *this;
}

session::~session() { close(); }

void session::close() noexcept {
  if (fd_ < 0) return;
  if (tls_ && SSL_is_init_finished(tls_.get())) {
    ERR_clear_error();
    SSL_shutdown(tls_.get());
    ERR_clear_error();
  }
  tls_.reset();
  ::close(std::exchange(fd_, -1));
}

session::parts session::release() { return {std::exchange(fd_, -1), std::move(tls_)}; }

void session::establish(identity peer, std::string protocol) {
  peer_ = std::move(peer);
  protocol_ = std::move(protocol);
}

io_step session::read_some(char* into, std::size_t bytes_max) noexcept {
  return stream_read(fd_, tls_.get(), into, bytes_max, why_);
}

io_step session::write_some(const char* from, std::size_t bytes) noexcept {
  return stream_write(fd_, tls_.get(), from, bytes, why_);
}

bool session::has_buffered() const noexcept { return tls_ && SSL_has_pending(tls_.get()) == 1; }

result<session> dial(const dial_options& o) {
  auto s = connect_any(o);
  if (!s) return s;
  if (o.tls) {
    if (auto r = shake_hands(*s, o); !r) return r.error();
    return s;
  }
  if (auto r = write_all(*s, detail::alpn_list({o.protocol}), o.by, o.stop_fd); !r) return r.error();
  s->establish({}, o.protocol);
  return s;
}

result<void> write_frame(session& s, std::string_view payload, deadline by, int stop_fd) {
  const auto n = static_cast<std::uint32_t>(payload.size());
  std::string frame;
  frame.reserve(4 + payload.size());
  for (int shift = 24; shift >= 0; shift -= 8)
    frame.push_back(static_cast<char>((n >> shift) & 0xff));
  frame += payload;
  return write_all(s, frame, by, stop_fd);
}

result<std::string> read_frame(session& s, std::size_t bytes_max, deadline by, int stop_fd) {
  unsigned char head[4];
  if (auto r = read_all(s, reinterpret_cast<char*>(head), sizeof head, by, stop_fd); !r) return r.error();
  std::size_t n = 0;
  for (const auto byte : head)
    n = n << 8 | byte;
  if (n > bytes_max)
    return errors::bad_request(s.peer_address() + " sent a frame of " + std::to_string(n) + " bytes where at most " +
                               std::to_string(bytes_max) + " are allowed");
  std::string payload(n, '\0');
  if (auto r = read_all(s, payload.data(), n, by, stop_fd); !r) return r.error();
  return payload;
}

} // namespace troupe::link
