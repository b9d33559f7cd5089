#include "net/link/handshake.hpp"

#include "net/link/limits.hpp"
#include "net/tls/openssl.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace troupe::link::detail {

namespace {

int bio_fd(BIO* b) { return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(b))); }

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

int bio_send(BIO* b, const char* from, int bytes) {
  BIO_clear_retry_flags(b);
  const auto n = ::send(bio_fd(b), from, static_cast<std::size_t>(bytes), MSG_NOSIGNAL);
  if (n < 0 && would_block()) BIO_set_retry_write(b);
  return static_cast<int>(n);
}

int bio_receive(BIO* b, char* into, int bytes) {
  BIO_clear_retry_flags(b);
  const auto n = ::recv(bio_fd(b), into, static_cast<std::size_t>(bytes), 0);
  if (n < 0 && would_block()) BIO_set_retry_read(b);
  return static_cast<int>(n);
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* socket_method() {
  static BIO_METHOD* const m = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "troupe socket");
    BIO_meth_set_write(made, bio_send);
    BIO_meth_set_read(made, bio_receive);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return m;
}

std::shared_ptr<SSL> begin(SSL_CTX* ctx, int fd) {
  if (!ctx) return nullptr;
  ERR_clear_error();
  std::shared_ptr<SSL> ssl{SSL_new(ctx), SSL_free};
  BIO* b = ssl ? BIO_new(socket_method()) : nullptr;
  if (!b) return nullptr;
  BIO_set_data(b, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(b, 1);
  SSL_set_bio(ssl.get(), b, b);
  return ssl;
}

} // namespace

std::string alpn_list(const std::vector<std::string>& protocols) {
  std::string out;
  for (const auto& p : protocols) {
    out.push_back(static_cast<char>(p.size()));
    out += p;
  }
  return out;
}

std::shared_ptr<SSL> begin_client(const session_tls& tls, int fd, const std::string& protocols) {
  auto ssl = begin(tls.client.get(), fd);
  if (!ssl) return ssl;
  SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                      static_cast<unsigned>(protocols.size()));
  SSL_set_connect_state(ssl.get());
  return ssl;
}

std::shared_ptr<SSL> begin_server(const session_tls& tls, int fd, const std::string* protocols) {
  auto ssl = begin(tls.server.get(), fd);
  if (!ssl) return ssl;
  SSL_set_app_data(ssl.get(), const_cast<std::string*>(protocols));
  SSL_set_accept_state(ssl.get());
  return ssl;
}

io_step::what handshake_step(SSL* ssl, std::string& why) {
  ERR_clear_error();
  errno = 0;
  const int r = SSL_do_handshake(ssl);
  if (r == 1) return io_step::what::moved;
  switch (SSL_get_error(ssl, r)) {
  case SSL_ERROR_WANT_READ: return io_step::what::want_read;
  case SSL_ERROR_WANT_WRITE: return io_step::what::want_write;
  default: break;
  }
  if (const long v = SSL_get_verify_result(ssl); v != X509_V_OK)
    why = std::string("its certificate is refused: ") + X509_verify_cert_error_string(v);
  else if (const auto e = ERR_peek_error(); e != 0 && ERR_reason_error_string(e))
    why = ERR_reason_error_string(e);
  else
    why = errno != 0 ? errno_text(errno) : "the peer closed the connection";
  ERR_clear_error();
  return io_step::what::closed;
}

void finish_handshake(session& s) {
  const unsigned char* name = nullptr;
  unsigned bytes = 0;
  SSL_get0_alpn_selected(s.tls(), &name, &bytes);
  s.establish(tls::identity_of(SSL_get0_peer_certificate(s.tls())),
              bytes ? std::string(reinterpret_cast<const char*>(name), bytes) : std::string{});
}

const char* errno_text(int number) noexcept {
  const char* text = ::strerrordesc_np(number);
  return text ? text : "unknown error";
}

std::string peer_text(int fd) {
  sockaddr_storage at{};
  socklen_t bytes = sizeof at;
  char text[INET6_ADDRSTRLEN] = "";
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&at), &bytes) != 0) return "unknown";
  if (at.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(at);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(at);
  ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  return std::string("[") + text + "]:" + std::to_string(ntohs(v6.sin6_port));
}

void tune_socket(int fd) {
  const int on = 1;
  const auto set = [fd](int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof value); };
  set(IPPROTO_TCP, TCP_NODELAY, on);
  set(SOL_SOCKET, SO_KEEPALIVE, on);
  set(IPPROTO_TCP, TCP_KEEPIDLE, limits::keepalive_idle_s);
  set(IPPROTO_TCP, TCP_KEEPINTVL, limits::keepalive_every_s);
  set(IPPROTO_TCP, TCP_KEEPCNT, limits::keepalive_probes);
}

wait_end wait_for(int fd, io_step::what needed, deadline by, int stop_fd) {
  const short events = needed == io_step::what::want_write ? POLLOUT : POLLIN;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(by - std::chrono::steady_clock::now()).count();
    pollfd on[2] = {{fd, events, 0}, {stop_fd, POLLIN, 0}};
    const int n = ::poll(on, stop_fd >= 0 ? 2 : 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
    if (n > 0 && stop_fd >= 0 && on[1].revents != 0) return wait_end::stopped;
    if (n > 0) return wait_end::ready;
    if (left <= 0) return wait_end::late;
  }
}

} // namespace troupe::link::detail
