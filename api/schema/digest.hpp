// digest: SHA-512 as the server writes it in ETags and hashes.
// Owner:  nobody; pure function.
// Units:  128 upper-case hexadecimal characters.
// Errors: -
// Source: FIPS 180-4, by OpenSSL.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace troupe::schema {

/// Of the parts one after the other.
std::string sha512_hex(std::initializer_list<std::string_view> parts);

} // namespace troupe::schema
