#include "tests/bench/store/raw_pairs.hpp"

#include <cstdint>
#include <cstring>

namespace troupe::bench {

namespace {

void append_length(std::string& out, std::size_t n) {
  const auto v = static_cast<std::uint32_t>(n);
  char b[4];
  std::memcpy(b, &v, 4);
  out.append(b, 4);
}

bool take_text(std::string_view& from, std::string_view& out) {
  std::uint32_t n = 0;
  if (from.size() < 4) return false;
  std::memcpy(&n, from.data(), 4);
  if (from.size() - 4 < n) return false;
  out = from.substr(4, n);
  from.remove_prefix(4 + std::size_t{n});
  return true;
}

} // namespace

void append_pair(std::string& body, std::string_view key, std::string_view value) {
  append_length(body, key.size());
  body += key;
  append_length(body, value.size());
  body += value;
}

bool split_pairs(std::string_view body, std::vector<std::pair<std::string_view, std::string_view>>& out) {
  while (!body.empty()) {
    std::string_view key, value;
    if (!take_text(body, key) || !take_text(body, value)) return false;
    out.emplace_back(key, value);
  }
  return true;
}

} // namespace troupe::bench
