// discovery: which groups, versions and resources there are, in every form that clients ask for.
// Owner:  process-wide caches made on first use; safe on any thread.
// Units:  -
// Errors: code 404 for a path that names no group or version, 406 for an Accept that nothing fits.
// Source: k8s API level 1.32, section 4.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::schema {

/// An answer whose bytes are shared by all who ask; `body` is null for 304 and 301.
struct static_reply {
  int code = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers; // ETag, Vary, Cache-Control, Location
  std::shared_ptr<const std::string> body;
};

/// Whether objects of the group are served here; metrics come from a metrics server, which is not part of this one.
bool served_group(std::string_view group) noexcept;

/// Paths `/api`, `/apis`, `/api/v1`, `/apis/<group>`, `/apis/<group>/<version>` (a closing slash is accepted).
/// `server_address` is `host:port` as clients reach this server.
static_reply discovery_reply(std::string_view path, std::string_view accept, std::string_view if_none_match,
                             std::string_view server_address);

} // namespace troupe::schema
