// health_server: answers GET on a few paths over plain HTTP, for load balancers and Prometheus.
// Owner:  own thread; `answer` is called on it and must be thread-safe.
// Units:  requests of at most 8 KiB; a connection serves one request and lives at most 5 s.
// Errors: status when the address cannot be bound; a malformed request gets 400, other methods 405.
// Source: kube-proxy healthz server (port 10256).
#pragma once

#include "api/status.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace troupe::net {

struct health_answer {
  int code = 404;
  std::string content_type = "text/plain; charset=utf-8", body;
};

class health_server {
public:
  virtual ~health_server() = default; // stops
  virtual std::uint16_t port() const = 0;
};

result<std::unique_ptr<health_server>>
start_health_server(const std::string& address, std::uint16_t port,
                    std::function<health_answer(const std::string& path)> answer);

} // namespace troupe::net
