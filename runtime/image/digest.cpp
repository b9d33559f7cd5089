// digest: sha256 of a stream of bytes, as images name content.
#include "runtime/image/digest.hpp"

#include <openssl/evp.h>

namespace troupe::runtime::image {

void sha256::free_context::operator()(void* p) const { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(p)); }

sha256::sha256() : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_.get()), EVP_sha256(), nullptr);
}

void sha256::update(const void* data, std::size_t size) {
  EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), data, size);
}

std::string sha256::digest() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_.get()), bytes, &size);
  std::string out = "sha256:";
  for (unsigned int i = 0; i < size; ++i) {
    out += "0123456789abcdef"[bytes[i] >> 4];
    out += "0123456789abcdef"[bytes[i] & 15];
  }
  return out;
}

std::string digest_of(std::string_view bytes) {
  sha256 h;
  h.update(bytes.data(), bytes.size());
  return h.digest();
}

std::string_view hex_of(std::string_view digest) {
  if (digest.size() != 71 || digest.substr(0, 7) != "sha256:" ||
      digest.find_first_not_of("0123456789abcdef", 7) != std::string_view::npos)
    return {};
  return digest.substr(7);
}

} // namespace troupe::runtime::image
