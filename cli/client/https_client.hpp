// https_client: one keep-alive TLS connection to an API server, for consoles: blocking, reconnects by itself.
// Owner:  one thread.
// Units:  timeouts in chrono.
// Errors: status with code 0 replaced by 503 when the server cannot be reached, saying host and port.
// Source: RFC 9112; Boost.Beast.
#pragma once

#include "api/status.hpp"
#include "cli/client/kubeconfig.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::cli {

struct http_answer {
  int code = 0;
  std::string content_type;
  std::string body;
};

struct http_call {
  std::string method = "GET";
  std::string target;
  std::string content_type;
  std::string accept = "application/json";
  std::string body;
};

class https_client {
public:
  explicit https_client(kubeconfig config);
  ~https_client();

  result<http_answer> call(const http_call&);
  /// Streams the body piece by piece until the server ends it, `piece` returns false, or `stop_fd` becomes readable.
  result<int> stream(const http_call&, const std::function<bool(std::string_view)>& piece, int stop_fd = -1);

  const kubeconfig& config() const noexcept;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// The message of a Status body, or the body itself, or the code in words.
std::string explain(const http_answer&);

} // namespace troupe::cli
