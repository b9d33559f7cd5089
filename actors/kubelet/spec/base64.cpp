#include "actors/kubelet/spec/base64.hpp"

#include <boost/beast/core/detail/base64.hpp>

namespace troupe::kubelet {

namespace b64 = boost::beast::detail::base64;

std::string decode_base64(std::string_view text) {
  std::string out(b64::decoded_size(text.size()), '\0');
  out.resize(b64::decode(out.data(), text.data(), text.size()).first);
  return out;
}

std::string encode_base64(std::string_view bytes) {
  std::string out(b64::encoded_size(bytes.size()), '\0');
  out.resize(b64::encode(out.data(), bytes.data(), bytes.size()));
  return out;
}

} // namespace troupe::kubelet
