// https_client: one keep-alive TLS connection to any of a cluster's API servers, for consoles: blocking; goes to
//               another server when one cannot be reached or refuses for want of a leader.
// Owner:  one thread.
// Units:  timeouts in chrono.
// Errors: 503 when no server can be reached, naming all of them; 504 when the connection broke after a change was sent:
//         whether it took effect is not known, so it is never sent twice.
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
