// status: the one error value of the project; toward clients it is a Kubernetes Status object with field causes.
// Owner:  nobody; plain value.
// Units:  code is an HTTP status; retry_after_s is seconds.
// Errors: -
// Source: k8s API level 1.32, section "Errors" (meta/v1 Status).
#pragma once

#include "api/json.hpp"

#include <boost/system/result.hpp>

#include <stdexcept>
#include <string>
#include <vector>

namespace troupe {

/// One field cause. `reason` is e.g. FieldValueRequired, `message` the body without the field path.
struct cause {
  std::string reason;
  std::string message;
  std::string field;
};
using field_errors = std::vector<cause>;

struct status {
  // Declared so that status is no aggregate: otherwise any int would convert to it inside result<int>.
  status() = default;
  status(int code_, std::string reason_, std::string message_)
      : code(code_), reason(std::move(reason_)), message(std::move(message_)) {}
  /// "No error" where a member must say so: code 0.
  static status none() { return {0, {}, {}}; }

  int code = 500;
  std::string reason = "InternalError";
  std::string message;
  // details
  std::string name, group, kind, uid;
  std::vector<cause> causes;
  int retry_after_s = 0;
  /// metadata.continue: set on 410 Expired of a list to go on inconsistently.
  std::string continue_token;

  /// The Status object as clients read it.
  json::value to_json() const;
  std::string to_bytes() const;
};

/// Names the thing an error talks about: `plural` and `group` as in `deployments.apps`.
struct resource_name {
  std::string_view group;
  std::string_view plural;
};

namespace errors {
status bad_request(std::string message);
status unauthorized();
status forbidden(resource_name r, std::string_view name, std::string_view why);
status not_found(resource_name r, std::string_view name);
status method_not_allowed(std::string_view verb, resource_name r);
status not_acceptable(std::string_view accepted);
status already_exists(resource_name r, std::string_view name);
status conflict(resource_name r, std::string_view name, std::string_view why);
/// `Operation cannot be fulfilled …: the object has been modified; …`
status modified(resource_name r, std::string_view name);
status expired(std::string message);
status too_large(std::string_view why);
status unsupported_media_type(std::string_view accepted);
/// 422 with one cause per field error; repeated texts appear once in the message.
status invalid(std::string_view kind, std::string_view group, std::string_view name, field_errors causes);
status too_many_requests(std::string message, int retry_after_s);
status internal(std::string_view why);
status unavailable(std::string message, int retry_after_s = 1);
status timeout(std::string_view why);
/// 507: a full disk; reads go on.
status insufficient_storage(std::string message);
} // namespace errors

/// Field error makers; `value` is rendered as JSON (strings quoted).
namespace field {
cause required(std::string path, std::string_view detail = {});
cause invalid(std::string path, const json::value& value, std::string_view detail);
cause type_invalid(std::string path, const json::value& value, std::string_view detail);
cause not_supported(std::string path, const json::value& value, std::vector<std::string> supported);
cause duplicate(std::string path, const json::value& value);
cause forbidden(std::string path, std::string_view detail);
cause not_found(std::string path, const json::value& value);
cause too_long(std::string path, std::size_t bytes_max);
cause too_many(std::string path, std::size_t count, std::size_t count_max);
} // namespace field

template <class T>
using result = boost::system::result<T, status>;

/// Called by result::value() when it holds an error.
[[noreturn]] inline void throw_exception_from_error(const status& s, const boost::source_location&) {
  throw std::runtime_error(s.message);
}

} // namespace troupe
