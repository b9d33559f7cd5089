#include "store/crc32c.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace troupe::store {

namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> t{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k)
      c = (c & 1) ? 0x82f63b78u ^ (c >> 1) : c >> 1;
    t[i] = c;
  }
  return t;
}
constexpr auto table = make_table();

std::uint32_t portable(std::uint32_t c, const char* p, std::size_t n) {
  for (; n > 0; --n, ++p)
    c = table[(c ^ static_cast<unsigned char>(*p)) & 0xff] ^ (c >> 8);
  return c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t fast(std::uint32_t c, const char* p, std::size_t n) {
  std::uint64_t wide = c;
  for (; n >= 8; n -= 8, p += 8) {
    std::uint64_t v;
    std::memcpy(&v, p, 8);
    wide = _mm_crc32_u64(wide, v);
  }
  c = static_cast<std::uint32_t>(wide);
  for (; n > 0; --n, ++p)
    c = _mm_crc32_u8(c, static_cast<unsigned char>(*p));
  return c;
}
#endif

} // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before) {
  const std::uint32_t c = ~before;
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return ~fast(c, bytes.data(), bytes.size());
#endif
  return ~portable(c, bytes.data(), bytes.size());
}

} // namespace troupe::store
