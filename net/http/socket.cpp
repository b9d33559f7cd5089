#include "net/http/socket.hpp"

#include <openssl/err.h>

#include <cerrno>
#include <sys/socket.h>

namespace troupe::http {

socket::socket(tcp::socket s, std::shared_ptr<SSL_CTX> ctx) : tcp_(std::move(s)), ctx_(std::move(ctx)) {
  boost::system::error_code ec;
  tcp_.non_blocking(true, ec);
  tcp_.set_option(tcp::no_delay(true), ec);
  if (!ctx_) return;
  ssl_.reset(SSL_new(ctx_.get()));
  SSL_set_fd(ssl_.get(), tcp_.native_handle());
  SSL_set_accept_state(ssl_.get());
}

io socket::classify(int r) {
  const int e = SSL_get_error(ssl_.get(), r);
  ERR_clear_error();
  switch (e) {
  case SSL_ERROR_WANT_READ: return io::want_read;
  case SSL_ERROR_WANT_WRITE: return io::want_write;
  case SSL_ERROR_ZERO_RETURN: return io::closed;
  default: return io::failed;
  }
}

io socket::handshake() {
  if (!ssl_) return io::done;
  ERR_clear_error();
  const int r = SSL_do_handshake(ssl_.get());
  return r == 1 ? io::done : classify(r);
}

io socket::read(char* data, std::size_t room, std::size_t& got) {
  got = 0;
  if (ssl_) {
    ERR_clear_error();
    const int r = SSL_read_ex(ssl_.get(), data, room, &got);
    return r == 1 ? io::done : classify(r);
  }
  for (;;) {
    const auto n = ::recv(tcp_.native_handle(), data, room, 0);
    if (n > 0) {
      got = static_cast<std::size_t>(n);
      return io::done;
    }
    if (n == 0) return io::closed;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK ? io::want_read : io::failed;
  }
}

io socket::write(const char* data, std::size_t size, std::size_t& sent) {
  sent = 0;
  if (ssl_) {
    ERR_clear_error();
    const int r = SSL_write_ex(ssl_.get(), data, size, &sent);
    return r == 1 ? io::done : classify(r);
  }
  for (;;) {
    const auto n = ::send(tcp_.native_handle(), data, size, MSG_NOSIGNAL);
    if (n >= 0) {
      sent = static_cast<std::size_t>(n);
      return io::done;
    }
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK ? io::want_write : io::failed;
  }
}

void socket::finish_writing() {
  if (ssl_ && SSL_is_init_finished(ssl_.get())) {
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  boost::system::error_code ec;
  tcp_.shutdown(tcp::socket::shutdown_send, ec);
}

void socket::close() {
  if (!tcp_.is_open()) return;
  if (ssl_ && SSL_is_init_finished(ssl_.get())) {
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  boost::system::error_code ec;
  tcp_.shutdown(tcp::socket::shutdown_both, ec);
  tcp_.close(ec);
}

} // namespace troupe::http
