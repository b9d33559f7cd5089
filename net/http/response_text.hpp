// response_text: status lines, headers, chunk framing and compression, as plain text functions.
// Owner:  -; pure, any thread.
// Units:  bytes.
// Errors: compress returns an empty string when zlib refuses; the caller sends the plain body.
// Source: RFC 9112, RFC 1952.
#pragma once

#include "net/http/server.hpp"

#include <string>
#include <string_view>

namespace troupe::http {

std::string_view reason_phrase(int code) noexcept;
/// `date` is the value of the Date header. length npos: chunked.
void append_head(std::string& out, int code, std::string_view content_type, const header_list& headers,
                 std::size_t length, bool close, std::string_view date);
void append_chunk_size(std::string& out, std::size_t size);
std::string http_date(std::int64_t unix_seconds);
std::string gzip(std::string_view bytes);

} // namespace troupe::http
