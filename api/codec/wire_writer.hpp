// wire_writer: protobuf messages, written field by field.
// Owner:  one encoder run.
// Units:  bytes.
// Errors: none.
// Source: protobuf encoding guide.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::codec {

class wire_writer {
public:
  wire_writer& varint(std::uint32_t number, std::uint64_t v) {
    raw(std::uint64_t{number} << 3);
    raw(v);
    return *this;
  }
  wire_writer& bytes(std::uint32_t number, std::string_view s) {
    raw(std::uint64_t{number} << 3 | 2);
    raw(s.size());
    out_ += s;
    return *this;
  }
  wire_writer& message(std::uint32_t number, const wire_writer& inner) { return bytes(number, inner.out_); }
  /// Text fields that are empty need not be written.
  wire_writer& text(std::uint32_t number, std::string_view s) { return s.empty() ? *this : bytes(number, s); }
  wire_writer& fixed64(std::uint32_t number, std::uint64_t v) {
    raw(std::uint64_t{number} << 3 | 1);
    for (int i = 0; i < 8; ++i)
      out_ += static_cast<char>(v >> (8 * i) & 0xff);
    return *this;
  }
  const std::string& str() const noexcept { return out_; }

private:
  void raw(std::uint64_t v) {
    for (; v >= 0x80; v >>= 7)
      out_ += static_cast<char>(v | 0x80);
    out_ += static_cast<char>(v);
  }
  std::string out_;
};

} // namespace troupe::codec
