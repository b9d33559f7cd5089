#include "api/meta/int_or_string.hpp"

#include <charconv>

namespace troupe {

namespace {
std::optional<std::int64_t> integer(const json::value& v) noexcept {
  if (const auto* i = v.if_int64()) return *i;
  if (const auto* u = v.if_uint64()) return static_cast<std::int64_t>(*u);
  return std::nullopt;
}
} // namespace

std::optional<std::int64_t> percent_of(const json::value& v) noexcept {
  const auto* s = v.if_string();
  if (!s || s->size() < 2 || s->back() != '%') return std::nullopt;
  std::int64_t n = 0;
  const auto* end = s->data() + s->size() - 1;
  const auto [at, ec] = std::from_chars(s->data(), end, n);
  if (ec != std::errc{} || at != end || n < 0 || (*s)[0] == '-') return std::nullopt;
  return n;
}

result<std::int64_t> resolve_count(const json::value& v, std::int64_t total, rounding how) {
  if (const auto n = integer(v)) return *n;
  const auto p = percent_of(v);
  if (!p) return errors::bad_request("invalid value for IntOrString: " + json::serialize(v));
  const auto parts = *p * total;
  const std::int64_t whole = parts / 100;
  return how == rounding::up && parts % 100 != 0 ? whole + 1 : whole;
}

std::string int_or_string_text(const json::value& v) {
  if (const auto n = integer(v)) return std::to_string(*n);
  if (const auto* s = v.if_string()) return std::string{jq::view(*s)};
  return {};
}

} // namespace troupe
