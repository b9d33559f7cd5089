// wire_reader: the protobuf wire format, one field at a time.
// Owner:  one decoder run; views the bytes of the body.
// Units:  bytes.
// Errors: every call answers false or nullopt at the first malformed byte; nothing is read past the end.
// Source: protobuf encoding guide; groups (wire types 3 and 4) are refused, Kubernetes has none.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace troupe::codec {

enum class wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

class wire_reader {
public:
  explicit wire_reader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool done() const noexcept { return at_ == end_; }
  const char* position() const noexcept { return at_; }

  /// Number and wire type of the next field; number is never 0.
  bool tag(std::uint32_t& number, wire& type) noexcept {
    std::uint64_t v = 0;
    if (!varint(v) || v >> 3 == 0 || v >> 3 > 0x1fffffff) return false;
    const auto low = static_cast<unsigned>(v & 7);
    if (low != 0 && low != 1 && low != 2 && low != 5) return false;
    number = static_cast<std::uint32_t>(v >> 3);
    type = static_cast<wire>(low);
    return true;
  }

  bool varint(std::uint64_t& out) noexcept {
    out = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (at_ == end_) return false;
      const auto byte = static_cast<unsigned char>(*at_++);
      if (shift == 63 && byte > 1) return false;
      out |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }

  bool bytes(std::string_view& out) noexcept {
    std::uint64_t n = 0;
    if (!varint(n) || n > static_cast<std::uint64_t>(end_ - at_)) return false;
    out = {at_, static_cast<std::size_t>(n)};
    at_ += n;
    return true;
  }

  bool fixed64(std::uint64_t& out) noexcept {
    if (end_ - at_ < 8) return false;
    std::memcpy(&out, at_, 8); // little-endian on the wire and on every host this is built for
    at_ += 8;
    return true;
  }

  bool skip(wire type) noexcept {
    std::uint64_t number = 0;
    std::string_view view;
    switch (type) {
    case wire::varint: return varint(number);
    case wire::fixed64: return fixed64(number);
    case wire::bytes: return bytes(view);
    case wire::fixed32:
      if (end_ - at_ < 4) return false;
      at_ += 4;
      return true;
    }
    return false;
  }

private:
  const char* at_;
  const char* end_;
};

} // namespace troupe::codec
