// bytes: the few primitive encodings of the store: varints, length-prefixed text, big-endian numbers.
// Owner:  nobody; free functions and a bounds-checked reader.
// Units:  varints are LEB128, at most 10 bytes.
// Errors: a reader that runs past its end turns `bad` and yields zeros from then on.
// Source: ours.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::store {

inline void put_varint(std::string& out, std::uint64_t v) {
  while (v >= 0x80) {
    out.push_back(static_cast<char>(v | 0x80));
    v >>= 7;
  }
  out.push_back(static_cast<char>(v));
}

inline void put_text(std::string& out, std::string_view s) {
  put_varint(out, s.size());
  out.append(s);
}

inline void put_be64(std::string& out, std::uint64_t v) {
  for (int shift = 56; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(v >> shift));
}

inline std::uint64_t get_be64(std::string_view s) {
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < 8 && i < s.size(); ++i)
    v = v << 8 | static_cast<unsigned char>(s[i]);
  return v;
}

class byte_reader {
public:
  explicit byte_reader(std::string_view s) : rest_(s) {}
  std::uint64_t varint() {
    std::uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return fail();
      const auto c = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      v |= static_cast<std::uint64_t>(c & 0x7f) << shift;
      if (c < 0x80) return v;
    }
    return fail();
  }
  std::string_view text() { return take(varint()); }
  std::string_view take(std::uint64_t n) {
    if (n > rest_.size()) {
      fail();
      return {};
    }
    auto out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return out;
  }
  std::uint8_t byte() {
    auto s = take(1);
    return s.empty() ? 0 : static_cast<std::uint8_t>(s[0]);
  }
  std::string_view rest() const { return rest_; }
  bool done() const { return rest_.empty() && !bad_; }
  bool bad() const { return bad_; }

private:
  std::uint64_t fail() {
    bad_ = true;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool bad_ = false;
};

} // namespace troupe::store
