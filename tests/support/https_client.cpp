#include "tests/support/https_client.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace troupe::test {

https_client::https_client(std::uint16_t port, std::shared_ptr<ssl_ctx_st> ctx) : ctx_(std::move(ctx)) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval t{10, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
  const int one = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bool ok = ::connect(fd_, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0;
  if (ok && ctx_) {
    ssl_ = SSL_new(ctx_.get());
    SSL_set_fd(ssl_, fd_);
    ok = SSL_connect(ssl_) == 1;
    ERR_clear_error();
  }
  if (!ok) {
    ::close(fd_);
    fd_ = -1;
  }
}

https_client::~https_client() {
  if (ssl_) SSL_free(ssl_);
  if (fd_ >= 0) ::close(fd_);
}

bool https_client::send(const std::string& bytes) {
  std::size_t done = 0;
  while (fd_ >= 0 && done < bytes.size()) {
    const auto n = ssl_ ? SSL_write(ssl_, bytes.data() + done, static_cast<int>(bytes.size() - done))
                        : static_cast<int>(::send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL));
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return fd_ >= 0;
}

bool https_client::fill() {
  if (fd_ < 0) return false;
  char room[16384];
  const auto n = ssl_ ? SSL_read(ssl_, room, sizeof room) : static_cast<int>(::recv(fd_, room, sizeof room, 0));
  ERR_clear_error();
  if (n <= 0) return false;
  in_.append(room, static_cast<std::size_t>(n));
  return true;
}

bool https_client::at_end() { return in_.empty() && !fill(); }

std::string https_client::line() {
  for (;;) {
    const auto end = in_.find("\r\n");
    if (end != std::string::npos) {
      auto out = in_.substr(0, end);
      in_.erase(0, end + 2);
      return out;
    }
    if (!fill()) return {};
  }
}

http_answer https_client::receive_head() {
  http_answer a;
  const auto first = line();
  if (first.size() < 12) return a;
  a.code = std::atoi(first.c_str() + 9);
  for (auto l = line(); !l.empty(); l = line()) {
    const auto colon = l.find(':');
    auto name = l.substr(0, colon);
    for (auto& c : name)
      c = static_cast<char>(std::tolower(c));
    auto value = l.substr(colon + 1);
    if (!value.empty() && value[0] == ' ') value.erase(0, 1);
    auto& slot = a.headers[name];
    slot = slot.empty() ? value : slot + "\n" + value;
  }
  return a;
}

std::string https_client::receive_bytes(std::size_t n) {
  while (in_.size() < n)
    if (!fill()) return {};
  auto out = in_.substr(0, n);
  in_.erase(0, n);
  return out;
}

std::string https_client::receive_chunk() {
  const auto size = std::strtoul(line().c_str(), nullptr, 16);
  auto out = receive_bytes(size);
  line();
  return out;
}

http_answer https_client::receive(bool head_only) {
  auto a = receive_head();
  while (a.code == 100)
    a = receive_head();
  if (a.code == 0 || head_only || a.code == 304) return a;
  if (a.headers["transfer-encoding"] == "chunked") {
    for (auto c = receive_chunk(); !c.empty(); c = receive_chunk())
      a.body += c;
  } else {
    a.body = receive_bytes(std::strtoul(a.headers["content-length"].c_str(), nullptr, 10));
  }
  return a;
}

http_answer https_client::call(const std::string& method, const std::string& target, const std::string& body,
                               const std::vector<std::pair<std::string, std::string>>& headers) {
  std::string text = method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n";
  for (const auto& [n, v] : headers)
    text += n + ": " + v + "\r\n";
  if (!body.empty() || method == "POST" || method == "PUT")
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  text += "\r\n" + body;
  if (!send(text)) return {};
  return receive(method == "HEAD");
}

} // namespace troupe::test
