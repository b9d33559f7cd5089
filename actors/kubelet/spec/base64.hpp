// base64: decodes the data of Secrets.
// Owner:  -
// Units:  bytes.
// Errors: anything behind the first bad character is left out; the API has checked the text.
// Source: RFC 4648.
#pragma once

#include <string>
#include <string_view>

namespace troupe::kubelet {

std::string decode_base64(std::string_view text);
std::string encode_base64(std::string_view bytes);

} // namespace troupe::kubelet
