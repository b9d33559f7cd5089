// input: splits one fuzz input into lines, so that a seed can be read and written by hand.
// Owner:  fuzz targets.
// Units:  -
// Errors: must() aborts: a broken promise is a finding.
// Source: ours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace troupe::test {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Takes the first line off `rest`.
inline std::string_view next_line(std::string_view& rest) {
  const auto end = rest.find('\n');
  const auto line = rest.substr(0, end);
  rest = end == rest.npos ? std::string_view{} : rest.substr(end + 1);
  return line;
}

inline void must(bool held) {
  if (!held) std::abort();
}

} // namespace troupe::test
