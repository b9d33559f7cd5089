#include "api/status.hpp"

#include <algorithm>
#include <set>

namespace troupe {

namespace {

std::string qualified(resource_name r) {
  std::string out{r.plural};
  if (!r.group.empty()) out.append(".").append(r.group);
  return out;
}

status make(int code, std::string reason, std::string message) {
  status s;
  s.code = code;
  s.reason = std::move(reason);
  s.message = std::move(message);
  return s;
}

status about(int code, std::string reason, resource_name r, std::string_view name, std::string message) {
  auto s = make(code, std::move(reason), std::move(message));
  s.name = name;
  s.group = r.group;
  s.kind = r.plural;
  return s;
}

std::string render(const json::value& v) { return json::serialize(v); }

} // namespace

json::value status::to_json() const {
  json::object o;
  o["kind"] = "Status";
  o["apiVersion"] = "v1";
  auto& meta = o["metadata"].emplace_object();
  if (!continue_token.empty()) meta["continue"] = continue_token;
  const bool ok = code < 400;
  o["status"] = ok ? "Success" : "Failure";
  if (!message.empty()) o["message"] = message;
  if (!ok && !reason.empty()) o["reason"] = reason;
  json::object details;
  if (!name.empty()) details["name"] = name;
  if (!group.empty()) details["group"] = group;
  if (!kind.empty()) details["kind"] = kind;
  if (!uid.empty()) details["uid"] = uid;
  if (!causes.empty()) {
    auto& list = details["causes"].emplace_array();
    for (const auto& c : causes) {
      json::object e;
      if (!c.reason.empty()) e["reason"] = c.reason;
      if (!c.message.empty()) e["message"] = c.message;
      if (!c.field.empty()) e["field"] = c.field;
      list.push_back(std::move(e));
    }
  }
  if (retry_after_s > 0) details["retryAfterSeconds"] = retry_after_s;
  if (!details.empty()) o["details"] = std::move(details);
  if (!ok) o["code"] = code;
  return o;
}

std::string status::to_bytes() const { return json::serialize(to_json()) + "\n"; }

namespace errors {

status bad_request(std::string message) { return make(400, "BadRequest", std::move(message)); }
status unauthorized() { return make(401, "Unauthorized", "Unauthorized"); }

status forbidden(resource_name r, std::string_view name, std::string_view why) {
  std::string m;
  if (r.plural.empty()) {
    m = "forbidden: ";
  } else {
    m = qualified(r);
    if (!name.empty()) m.append(" \"").append(name).append("\"");
    m += " is forbidden: ";
  }
  m += why;
  return about(403, "Forbidden", r, name, std::move(m));
}

status not_found(resource_name r, std::string_view name) {
  return about(404, "NotFound", r, name, qualified(r) + " \"" + std::string{name} + "\" not found");
}

status method_not_allowed(std::string_view verb, resource_name r) {
  return about(405, "MethodNotAllowed", r, {},
               std::string{verb} + " is not supported on resources of kind \"" + qualified(r) + "\"");
}

status not_acceptable(std::string_view accepted) {
  return make(406, "NotAcceptable", "only the following media types are accepted: " + std::string{accepted});
}

status already_exists(resource_name r, std::string_view name) {
  return about(409, "AlreadyExists", r, name, qualified(r) + " \"" + std::string{name} + "\" already exists");
}

status conflict(resource_name r, std::string_view name, std::string_view why) {
  return about(409, "Conflict", r, name,
               "Operation cannot be fulfilled on " + qualified(r) + " \"" + std::string{name} +
                 "\": " + std::string{why});
}

status modified(resource_name r, std::string_view name) {
  return conflict(r, name, "the object has been modified; please apply your changes to the latest version and try again");
}

status expired(std::string message) { return make(410, "Expired", std::move(message)); }

status too_large(std::string_view why) {
  return make(413, "RequestEntityTooLarge", "Request entity too large: " + std::string{why});
}

status unsupported_media_type(std::string_view accepted) {
  return make(415, "UnsupportedMediaType",
              "the body of the request was in an unknown format - accepted media types include: " +
                std::string{accepted});
}

status invalid(std::string_view kind, std::string_view group, std::string_view name, field_errors causes) {
  std::vector<std::string> texts;
  std::set<std::string> seen;
  for (const auto& c : causes) {
    auto text = c.field.empty() ? c.message : c.field + ": " + c.message;
    if (seen.insert(text).second) texts.push_back(std::move(text));
  }
  std::string m{kind};
  if (!group.empty()) m.append(".").append(group);
  m.append(m.empty() ? "" : " ").append("\"").append(name).append("\" is invalid");
  if (texts.size() == 1) {
    m.append(": ").append(texts.front());
  } else if (!texts.empty()) {
    m.append(": [");
    for (std::size_t i = 0; i < texts.size(); ++i) m.append(i ? ", " : "").append(texts[i]);
    m.append("]");
  }
  auto s = make(422, "Invalid", std::move(m));
  s.name = name;
  s.group = group;
  s.kind = kind;
  s.causes = std::move(causes);
  return s;
}

status too_many_requests(std::string message, int retry_after_s) {
  auto s = make(429, "TooManyRequests", std::move(message));
  s.retry_after_s = retry_after_s;
  return s;
}

status internal(std::string_view why) {
  auto s = make(500, "InternalError", "Internal error occurred: " + std::string{why});
  s.causes.push_back({"", std::string{why}, ""});
  return s;
}

status unavailable(std::string message, int retry_after_s) {
  auto s = make(503, "ServiceUnavailable", std::move(message));
  s.retry_after_s = retry_after_s;
  return s;
}

status timeout(std::string_view why) { return make(504, "Timeout", "Timeout: " + std::string{why}); }

status insufficient_storage(std::string message) { return make(507, "InsufficientStorage", std::move(message)); }

} // namespace errors

namespace field {

cause required(std::string path, std::string_view detail) {
  std::string m = "Required value";
  if (!detail.empty()) m.append(": ").append(detail);
  return {"FieldValueRequired", std::move(m), std::move(path)};
}

cause invalid(std::string path, const json::value& value, std::string_view detail) {
  return {"FieldValueInvalid", "Invalid value: " + render(value) + ": " + std::string{detail}, std::move(path)};
}

cause type_invalid(std::string path, const json::value& value, std::string_view detail) {
  return {"FieldValueTypeInvalid", "Invalid value: " + render(value) + ": " + std::string{detail}, std::move(path)};
}

cause not_supported(std::string path, const json::value& value, std::vector<std::string> supported) {
  std::sort(supported.begin(), supported.end());
  std::string m = "Unsupported value: " + render(value);
  for (std::size_t i = 0; i < supported.size(); ++i)
    m.append(i ? ", \"" : ": supported values: \"").append(supported[i]).append("\"");
  return {"FieldValueNotSupported", std::move(m), std::move(path)};
}

cause duplicate(std::string path, const json::value& value) {
  return {"FieldValueDuplicate", "Duplicate value: " + render(value), std::move(path)};
}

cause forbidden(std::string path, std::string_view detail) {
  return {"FieldValueForbidden", "Forbidden: " + std::string{detail}, std::move(path)};
}

cause not_found(std::string path, const json::value& value) {
  return {"FieldValueNotFound", "Not found: " + render(value), std::move(path)};
}

cause too_long(std::string path, std::size_t bytes_max) {
  return {"FieldValueTooLong", "Too long: may not be more than " + std::to_string(bytes_max) + " bytes",
          std::move(path)};
}

cause too_many(std::string path, std::size_t count, std::size_t count_max) {
  return {"FieldValueTooMany",
          "Too many: " + std::to_string(count) + ": must have at most " + std::to_string(count_max) + " items",
          std::move(path)};
}

} // namespace field
} // namespace troupe
