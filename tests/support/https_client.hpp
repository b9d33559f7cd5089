// https_client: a small blocking HTTP/1.1 client over TLS (or plain TCP) for tests.
// Owner:  one test; one connection per client, kept alive between calls.
// Units:  every socket operation has a deadline of 10 s.
// Errors: code 0 in the answer when the connection failed.
// Source: ours.
#pragma once

#include "net/tls/context.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

struct ssl_st;

namespace troupe::test {

struct http_answer {
  int code = 0;
  std::map<std::string, std::string> headers; // names in lower case
  std::string body;
};

class https_client {
public:
  https_client(std::uint16_t port, std::shared_ptr<ssl_ctx_st> ctx); // null context: plain TCP
  ~https_client();
  https_client(const https_client&) = delete;
  https_client& operator=(const https_client&) = delete;

  bool connected() const { return fd_ >= 0; }
  /// The peer has closed: nothing more can be read.
  bool at_end();
  http_answer call(const std::string& method, const std::string& target, const std::string& body = {},
                   const std::vector<std::pair<std::string, std::string>>& headers = {});
  /// Raw bytes out; a whole answer in.
  bool send(const std::string& bytes);
  http_answer receive(bool head_only = false);
  /// For streams: reads the head only, then one chunk at a time (empty at the end).
  http_answer receive_head();
  std::string receive_chunk();
  std::string receive_bytes(std::size_t n);

private:
  bool fill();
  std::string line();
  int fd_ = -1;
  std::shared_ptr<ssl_ctx_st> ctx_;
  ssl_st* ssl_ = nullptr;
  std::string in_;
};

} // namespace troupe::test
