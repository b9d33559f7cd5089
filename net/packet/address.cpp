#include "net/packet/address.hpp"

#include <charconv>

namespace troupe::net {

std::optional<std::uint32_t> parse_ipv4(std::string_view text) noexcept {
  std::uint32_t out = 0;
  for (int part = 0; part < 4; ++part) {
    if (part > 0) {
      if (text.empty() || text.front() != '.') return std::nullopt;
      text.remove_prefix(1);
    }
    unsigned value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    auto digits = static_cast<std::size_t>(end - text.data());
    if (error != std::errc{} || value > 255 || digits > 3 || (digits > 1 && text.front() == '0')) return std::nullopt;
    out = out << 8 | value;
    text.remove_prefix(digits);
  }
  if (!text.empty()) return std::nullopt;
  return out;
}

std::optional<ipv4_prefix> parse_prefix(std::string_view text) noexcept {
  auto slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  auto base = parse_ipv4(text.substr(0, slash));
  auto tail = text.substr(slash + 1);
  int length = -1;
  auto [end, error] = std::from_chars(tail.data(), tail.data() + tail.size(), length);
  if (!base || error != std::errc{} || end != tail.data() + tail.size() || length < 0 || length > 32)
    return std::nullopt;
  auto mask = length == 0 ? 0u : ~0u << (32 - length);
  return ipv4_prefix{*base & mask, length};
}

std::string to_text(std::uint32_t a) {
  return std::to_string(a >> 24) + '.' + std::to_string(a >> 16 & 255) + '.' + std::to_string(a >> 8 & 255) + '.' +
         std::to_string(a & 255);
}

std::string to_text(const ipv4_prefix& p) { return to_text(p.base) + '/' + std::to_string(p.length); }

} // namespace troupe::net
