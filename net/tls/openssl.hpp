// openssl: small owners of OpenSSL values, for the sources of this folder only.
// Owner:  the function that makes them.
// Units:  -
// Errors: last_error() names what OpenSSL said last and clears its queue.
// Source: ours.
#pragma once

#include "net/tls/pki.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace troupe::tls::detail {

template <auto Free>
struct freer {
  template <class T>
  void operator()(T* p) const noexcept {
    Free(p);
  }
};
using bio_ptr = std::unique_ptr<BIO, freer<BIO_free_all>>;
using x509_ptr = std::unique_ptr<X509, freer<X509_free>>;
using pkey = std::unique_ptr<EVP_PKEY, freer<EVP_PKEY_free>>;

inline bio_ptr read_bio(const std::string& pem) {
  return bio_ptr{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
}

inline std::string bio_text(BIO* b) {
  char* data = nullptr;
  const long n = BIO_get_mem_data(b, &data);
  return n > 0 ? std::string(data, static_cast<std::size_t>(n)) : std::string{};
}

inline std::string last_error() {
  char text[200] = "unknown OpenSSL error";
  if (auto e = ERR_get_error()) ERR_error_string_n(e, text, sizeof text);
  ERR_clear_error();
  return text;
}

inline x509_ptr parse_cert(const std::string& pem) {
  auto b = read_bio(pem);
  return x509_ptr{PEM_read_bio_X509(b.get(), nullptr, nullptr, nullptr)};
}

inline pkey parse_key(const std::string& pem) {
  auto b = read_bio(pem);
  return pkey{PEM_read_bio_PrivateKey(b.get(), nullptr, nullptr, nullptr)};
}

} // namespace troupe::tls::detail
