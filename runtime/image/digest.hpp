// digest: sha256 of a stream of bytes, as images name content.
// Owner:  whoever hashes; not shared between threads.
// Units:  digests are "sha256:" and 64 lower-case hexadecimal digits.
// Errors: -
// Source: OCI image spec, descriptor digests; OpenSSL underneath.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::runtime::image {

class sha256 {
public:
  sha256();
  void update(const void* data, std::size_t size);
  std::string digest(); // once

private:
  struct free_context {
    void operator()(void* p) const;
  };
  std::unique_ptr<void, free_context> context_;
};

std::string digest_of(std::string_view bytes);
/// The 64 digits of a well-formed digest, or nothing.
std::string_view hex_of(std::string_view digest);

} // namespace troupe::runtime::image
