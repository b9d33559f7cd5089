#include "api/codec/yaml_scalar.hpp"

#include <charconv>
#include <cmath>
#include <string>

namespace troupe::codec {

namespace {

bool one_of(std::string_view s, std::initializer_list<std::string_view> words) noexcept {
  for (auto w : words)
    if (s == w) return true;
  return false;
}

json::value string_value(std::string_view s) { return json::value(json::string_view{s.data(), s.size()}); }

/// Sign, base prefix (0x, 0o, 0b, or 0 for octal) and digits.
std::optional<json::value> integer(std::string_view s) {
  bool negative = false;
  if (!s.empty() && (s[0] == '-' || s[0] == '+')) {
    negative = s[0] == '-';
    s.remove_prefix(1);
  }
  int base = 10;
  if (s.size() > 1 && s[0] == '0') {
    const char c = s[1];
    base = c == 'x' || c == 'X' ? 16 : c == 'b' || c == 'B' ? 2 : 8;
    s.remove_prefix(c == 'x' || c == 'X' || c == 'b' || c == 'B' || c == 'o' || c == 'O' ? 2 : 1);
  }
  std::uint64_t v = 0;
  const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v, base);
  if (s.empty() || ec != std::errc{} || end != s.data() + s.size()) return std::nullopt;
  constexpr auto int_max = static_cast<std::uint64_t>(INT64_MAX);
  if (negative) {
    if (v > int_max + 1) return std::nullopt;
    return json::value(static_cast<std::int64_t>(~v + 1));
  }
  if (v <= int_max) return json::value(static_cast<std::int64_t>(v));
  return json::value(v);
}

/// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool looks_like_float(std::string_view s) noexcept {
  std::size_t i = 0;
  const auto run = [&] {
    const auto from = i;
    while (i < s.size() && s[i] >= '0' && s[i] <= '9')
      ++i;
    return i - from;
  };
  if (i < s.size() && (s[i] == '-' || s[i] == '+')) ++i;
  const auto whole = run();
  if (i < s.size() && s[i] == '.') {
    ++i;
    if (run() == 0 && whole == 0) return false;
  } else if (whole == 0) {
    return false;
  }
  if (i < s.size() && (s[i] == 'e' || s[i] == 'E')) {
    ++i;
    if (i < s.size() && (s[i] == '-' || s[i] == '+')) ++i;
    if (run() == 0) return false;
  }
  return i == s.size();
}

} // namespace

std::optional<json::value> plain_scalar(std::string_view s) {
  if (s.empty() || one_of(s, {"~", "null", "Null", "NULL"})) return json::value(nullptr);
  const char first = s[0];
  const bool numeric = (first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.';
  if (!numeric) {
    if (s.size() > 5) return string_value(s);
    if (one_of(s, {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})) return json::value(true);
    if (one_of(s, {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}))
      return json::value(false);
    return string_value(s);
  }
  if (one_of(s, {".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"}))
    return std::nullopt;
  std::string plain;
  for (const char c : s)
    if (c != '_') plain += c;
  if (auto v = integer(plain)) return v;
  if (looks_like_float(plain)) {
    const char* from = plain.data() + (plain[0] == '+' ? 1 : 0);
    double d = 0;
    const auto [end, ec] = std::from_chars(from, plain.data() + plain.size(), d);
    if (ec == std::errc{} && end == plain.data() + plain.size() && std::isfinite(d)) {
      // JSON has one kind of number: 3.0 travels as 3, as Go writes it.
      if (std::trunc(d) == d && std::fabs(d) < 9e15) return json::value(static_cast<std::int64_t>(d));
      return json::value(d);
    }
  }
  return string_value(s);
}

} // namespace troupe::codec
