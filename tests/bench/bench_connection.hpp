// bench_connection: one keep-alive TLS connection that speaks as little HTTP/1.1 as the load generator needs.
// Owner:  one coroutine at a time, on one io_context.
// Units:  bytes; buffers grow to what the answers need and are kept.
// Errors: exceptions; the bench reports them and fails.
// Source: RFC 9112. SSL works on the descriptor itself and bodies are read where they stay: client and server share
//         the machine, so every copy made here would be measured as the server's.
#pragma once

#include "cli/client/kubeconfig.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <charconv>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <strings.h>

namespace troupe::bench {

namespace asio = boost::asio;
template <class T>
using task = asio::awaitable<T>;
constexpr auto await = asio::use_awaitable;

struct answer {
  int code = 0;
  std::string_view body; // until the connection's next call
};

/// Takes the framing out of a chunked body, in place, however the bytes were cut.
class chunk_decoder {
public:
  /// Returns how many bytes of content remain at `p`.
  std::size_t decode(char* p, std::size_t n) {
    std::size_t in = 0, out = 0;
    while (in < n && !done_) {
      if (left_ > 0) {
        const auto take = std::min(left_, n - in);
        if (in != out) std::memmove(p + out, p + in, take);
        in += take;
        out += take;
        left_ -= take;
        if (left_ == 0) between_ = true;
        continue;
      }
      const char c = p[in++];
      if (c == '\r') continue;
      if (c != '\n') {
        const int digit = c >= '0' && c <= '9'                 ? c - '0'
                          : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                               : -1;
        if (digit < 0) throw std::runtime_error("bad chunk size");
        size_ = size_ * 16 + static_cast<std::size_t>(digit);
        between_ = false;
      } else if (!between_) {
        done_ = size_ == 0;
        left_ = std::exchange(size_, 0);
      }
    }
    return out;
  }
  bool done() const { return done_; }

private:
  std::size_t left_ = 0, size_ = 0;
  bool between_ = true, done_ = false; // between: only line ends so far
};

class connection {
public:
  connection(asio::io_context& ioc, SSL_CTX* tls, const cli::kubeconfig& kc)
      : sock_(ioc), ssl_(SSL_new(tls), SSL_free), kc_(kc), in_(64 * 1024, '\0') {}

  task<void> open() {
    asio::ip::tcp::resolver resolver{co_await asio::this_coro::executor};
    auto found = co_await resolver.async_resolve(kc_.host, kc_.port, await);
    co_await asio::async_connect(sock_, found, await);
    sock_.set_option(asio::ip::tcp::no_delay(true));
    sock_.non_blocking(true);
    SSL_set_fd(ssl_.get(), sock_.native_handle());
    SSL_set_connect_state(ssl_.get());
    for (int r; (r = SSL_do_handshake(ssl_.get())) != 1;)
      co_await wait(r);
  }

  // Strings by value: an awaitable starts later than the call that made it, when temporaries are gone.
  task<answer> call(std::string_view method, std::string path, std::string_view type = {}, std::string body = {}) {
    co_await send(method, path, type, body);
    co_await read_head();
    if (chunked_) {
      chunk_decoder decoder;
      std::size_t n = decoder.decode(in_.data(), std::exchange(held_, 0));
      while (!decoder.done()) {
        std::size_t got = 0;
        if (!try_read(n, got)) co_await wait(last_);
        n += decoder.decode(in_.data() + n, got);
      }
      co_return answer{code_, {in_.data(), n}};
    }
    if (in_.size() < length_) in_.resize(length_);
    while (held_ < length_) {
      std::size_t got = 0;
      if (!try_read(held_, got)) co_await wait(last_);
      held_ += got;
    }
    held_ = 0;
    co_return answer{code_, {in_.data(), length_}};
  }

  /// Streams lines until `line` returns false or the server ends the answer.
  // Callers name the awaitable first: GCC 12 destroys lambda temporaries of a co_await expression twice.
  task<void> lines(std::string path, std::function<bool(std::string_view)> line, std::function<void()> opened) {
    co_await send("GET", path, {}, {});
    co_await read_head();
    opened();
    chunk_decoder decoder;
    std::size_t got = std::exchange(held_, 0), begun = 0;
    for (;;) {
      const std::size_t end = begun + decoder.decode(in_.data() + begun, got);
      std::size_t from = 0;
      while (const void* nl = std::memchr(in_.data() + std::max(from, begun), '\n', end - std::max(from, begun))) {
        const auto at = static_cast<std::size_t>(static_cast<const char*>(nl) - in_.data());
        if (!line({in_.data() + from, at - from})) co_return;
        from = at + 1;
      }
      begun = end - from;
      if (from > 0) std::memmove(in_.data(), in_.data() + from, begun);
      if (decoder.done()) co_return;
      if (!try_read(begun, got)) co_await wait(last_);
    }
  }

private:
  /// Reads behind the first `at` bytes of in_. False: wait(last_), then again.
  bool try_read(std::size_t at, std::size_t& got) {
    if (in_.size() - at < 16 * 1024) in_.resize(in_.size() * 2);
    got = 0;
    last_ = SSL_read_ex(ssl_.get(), in_.data() + at, in_.size() - at, &got);
    return last_ == 1;
  }

  task<void> wait(int r) {
    const int why = SSL_get_error(ssl_.get(), r);
    ERR_clear_error();
    if (why == SSL_ERROR_WANT_READ) return sock_.async_wait(asio::ip::tcp::socket::wait_read, await);
    if (why == SSL_ERROR_WANT_WRITE) return sock_.async_wait(asio::ip::tcp::socket::wait_write, await);
    throw std::runtime_error("the server closed the connection");
  }

  task<void> send(std::string_view method, const std::string& path, std::string_view type, const std::string& body) {
    out_.clear();
    out_.append(method).append(" ").append(path).append(" HTTP/1.1\r\nHost: ").append(kc_.host);
    out_.append("\r\nAccept: application/json\r\n");
    if (!kc_.token.empty()) out_.append("Authorization: Bearer ").append(kc_.token).append("\r\n");
    if (!type.empty()) out_.append("Content-Type: ").append(type).append("\r\n");
    if (!body.empty() || method != "GET")
      out_.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
    out_.append("\r\n").append(body);
    for (std::size_t sent = 0, n; sent < out_.size();) {
      const int r = SSL_write_ex(ssl_.get(), out_.data() + sent, out_.size() - sent, &n);
      if (r == 1)
        sent += n;
      else
        co_await wait(r);
    }
  }

  /// Afterwards in_ begins with the first held_ bytes of the body.
  task<void> read_head() {
    std::size_t end;
    while ((end = std::string_view{in_.data(), held_}.find("\r\n\r\n")) == std::string_view::npos) {
      std::size_t got = 0;
      if (!try_read(held_, got)) co_await wait(last_);
      held_ += got;
    }
    const std::string_view head{in_.data(), end + 2};
    code_ = 0;
    if (head.size() > 12) std::from_chars(head.data() + 9, head.data() + 12, code_);
    length_ = 0;
    chunked_ = false;
    for (auto at = head.find("\r\n"); at + 2 < head.size(); at = head.find("\r\n", at + 2)) {
      const auto text = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
      const auto value = header(text, "content-length:");
      if (!value.empty()) std::from_chars(value.data(), value.data() + value.size(), length_);
      if (header(text, "transfer-encoding:") == "chunked") chunked_ = true;
    }
    held_ -= end + 4;
    std::memmove(in_.data(), in_.data() + end + 4, held_);
  }

  static std::string_view header(std::string_view text, std::string_view name) {
    if (text.size() <= name.size() || ::strncasecmp(text.data(), name.data(), name.size()) != 0) return {};
    text.remove_prefix(name.size());
    while (!text.empty() && text.front() == ' ')
      text.remove_prefix(1);
    return text;
  }

  asio::ip::tcp::socket sock_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  const cli::kubeconfig& kc_;
  std::string in_, out_;
  std::size_t held_ = 0, length_ = 0;
  int last_ = 0, code_ = 0;
  bool chunked_ = false;
};

} // namespace troupe::bench
