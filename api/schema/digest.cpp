#include "api/schema/digest.hpp"

#include <openssl/evp.h>

#include <array>
#include <memory>

namespace troupe::schema {

std::string sha512_hex(std::initializer_list<std::string_view> parts) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> ctx(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned int size = 0;
  if (ctx && EVP_DigestInit_ex(ctx.get(), EVP_sha512(), nullptr) == 1) {
    for (const auto p : parts)
      EVP_DigestUpdate(ctx.get(), p.data(), p.size());
    EVP_DigestFinal_ex(ctx.get(), sum.data(), &size);
  }
  static constexpr char hex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(2 * size);
  for (unsigned int i = 0; i < size; ++i) {
    out += hex[sum[i] >> 4];
    out += hex[sum[i] & 15];
  }
  return out;
}

} // namespace troupe::schema
