// request: one API call as a value, from HTTP or from an actor; response: its answer.
// Owner:  nobody; moved through the api actor.
// Units:  body at most limits::body_bytes_max (3 MiB).
// Errors: response.code >= 400 carries a Status body.
// Source: Kubernetes REST conventions (k8s API sections 1, 2, 6).
#pragma once

#include "api/identity.hpp"
#include "api/status.hpp"

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace troupe::store {
struct object;
}

namespace troupe {

enum class verb : unsigned char { get, list, watch, create, update, patch, delete_, deletecollection, connect };
std::string_view to_string(verb v) noexcept;

struct request {
  identity who;
  verb what = verb::get;
  std::string group, version, plural; // version may be empty for callers inside: the preferred one
  std::string ns, name, subresource;
  std::vector<std::pair<std::string, std::string>> query; // decoded
  std::string content_type; // of the body; patches: the patch type
  std::string accept;
  std::string user_agent;
  /// Bytes from outside, or a parsed document from a component inside (then content_type is application/json or the
  /// patch type and no decoding is done; defaulting, admission and validation still are).
  std::variant<std::monostate, std::string, std::shared_ptr<const json::value>> body;
  std::uint64_t fence_term = 0;

  std::string_view param(std::string_view key) const noexcept {
    for (const auto& [k, v] : query)
      if (k == key) return v;
    return {};
  }
};

struct response {
  int code = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  /// Exactly one of: stored object (bytes sent as they are), other body.
  std::shared_ptr<const store::object> object;
  std::string body;
  /// When code >= 400.
  std::shared_ptr<const status> error;
};

using request_ptr = std::shared_ptr<const request>;
using response_ptr = std::shared_ptr<const response>;

} // namespace troupe
