// address: IPv4 addresses and prefixes as numbers, and their text.
// Owner:  -; pure.
// Units:  host byte order.
// Errors: nullopt for text that is not an address or prefix.
// Source: RFC 4632.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::net {

struct ipv4_prefix {
  std::uint32_t base = 0; // host bits zero
  int length = 0;
  std::uint32_t size() const noexcept { return length == 0 ? 0xffffffffu : (1u << (32 - length)); }
  bool contains(std::uint32_t a) const noexcept {
    return length == 0 || (a >> (32 - length)) == (base >> (32 - length));
  }
};

std::optional<std::uint32_t> parse_ipv4(std::string_view text) noexcept;
/// `10.0.0.0/8`; host bits are cleared.
std::optional<ipv4_prefix> parse_prefix(std::string_view text) noexcept;
std::string to_text(std::uint32_t address);
std::string to_text(const ipv4_prefix&);

} // namespace troupe::net
