// socket: a non-blocking TCP socket with TLS on top, stepped by hand; also an AsyncStream for Beast's WebSocket.
// Owner:  one connection, on one io thread.
// Units:  bytes.
// Errors: io::failed; the OpenSSL error queue is left empty after every call.
// Source: ours: SSL on the descriptor itself, so that a request costs one read and one write and no copies between.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <openssl/ssl.h>

#include <memory>

namespace troupe::http {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

enum class io { done, want_read, want_write, closed, failed };

class socket {
public:
  using executor_type = tcp::socket::executor_type;
  using lowest_layer_type = tcp::socket;

  socket(tcp::socket s, std::shared_ptr<SSL_CTX> ctx);

  executor_type get_executor() { return tcp_.get_executor(); }
  tcp::socket& lowest() { return tcp_; }
  SSL* ssl() { return ssl_.get(); }
  bool is_tls() const { return ssl_ != nullptr; }

  io handshake();
  io read(char* data, std::size_t room, std::size_t& got);
  io write(const char* data, std::size_t size, std::size_t& sent);
  /// Tells the peer that nothing more will be sent; reading goes on.
  void finish_writing();
  /// Sends close_notify when possible and closes the descriptor.
  void close();

  template <class Fn>
  void wait_for(io why, Fn fn) {
    tcp_.async_wait(why == io::want_write ? tcp::socket::wait_write : tcp::socket::wait_read, std::move(fn));
  }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return transfer(true, asio::mutable_buffer(*asio::buffer_sequence_begin(buffers)), asio::const_buffer{}, token);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    asio::const_buffer first;
    for (auto it = asio::buffer_sequence_begin(buffers); it != asio::buffer_sequence_end(buffers); ++it)
      if (asio::const_buffer b = *it; b.size() > 0) {
        first = b;
        break;
      }
    return transfer(false, asio::mutable_buffer{}, first, token);
  }

private:
  template <class Token>
  auto transfer(bool reading, asio::mutable_buffer in, asio::const_buffer out, Token& token) {
    return asio::async_compose<Token, void(boost::system::error_code, std::size_t)>(
        [this, reading, in, out, started = false, posted = false, n = std::size_t{0},
         ec = boost::system::error_code{}](auto& self, boost::system::error_code failed = {}) mutable {
          if (posted) return self.complete(ec, n);
          if (!failed) {
            std::size_t moved = 0;
            const io r = (reading ? in.size() : out.size()) == 0 ? io::done
                         : reading                               ? read(static_cast<char*>(in.data()), in.size(), moved)
                                   : write(static_cast<const char*>(out.data()), out.size(), moved);
            if (r == io::want_read || r == io::want_write) {
              started = true;
              return wait_for(r, std::move(self));
            }
            n = moved;
            if (r == io::closed) ec = asio::error::eof;
            if (r == io::failed) ec = asio::error::connection_reset;
          } else {
            ec = failed;
          }
          if (started) return self.complete(ec, n);
          posted = true; // never complete inside the initiating call
          asio::post(tcp_.get_executor(), std::move(self));
        },
        token, tcp_);
  }

  io classify(int r);

  tcp::socket tcp_;
  std::shared_ptr<SSL_CTX> ctx_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, SSL_free};
};

} // namespace troupe::http
