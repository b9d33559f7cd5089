#include "api/schema/accept.hpp"

namespace troupe::schema {

namespace {

std::string_view trimmed(std::string_view s) noexcept {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t'))
    s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t'))
    s.remove_suffix(1);
  return s;
}

/// Cuts the next part off `rest`.
std::string_view next(std::string_view& rest, char at) noexcept {
  const auto end = rest.find(at);
  const auto part = rest.substr(0, end);
  rest = end == rest.npos ? std::string_view{} : rest.substr(end + 1);
  return trimmed(part);
}

} // namespace

std::vector<accept_clause> accept_clauses(std::string_view header) {
  std::vector<accept_clause> out;
  while (!header.empty() && out.size() < accept_clauses_max) {
    auto rest = next(header, ',');
    accept_clause c;
    c.type = next(rest, ';');
    while (!rest.empty()) {
      auto value = next(rest, ';');
      const auto name = next(value, '=');
      if (name == "as") c.as = value;
      if (name == "g") c.g = value;
      if (name == "v") c.v = value;
    }
    if (!c.type.empty()) out.push_back(c);
  }
  if (out.empty()) out.push_back({"*/*", {}, {}, {}});
  return out;
}

bool takes_json(const accept_clause& c) noexcept {
  return c.as.empty() && (c.type == "application/json" || c.type == "application/*" || c.type == "*/*");
}

} // namespace troupe::schema
