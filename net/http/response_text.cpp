#include "net/http/response_text.hpp"

#include <zlib.h>

#include <array>
#include <charconv>
#include <ctime>

namespace troupe::http {

namespace {
constexpr std::array<std::pair<int, std::string_view>, 27> phrases{{{101, "Switching Protocols"},
                                                                    {200, "OK"},
                                                                    {201, "Created"},
                                                                    {202, "Accepted"},
                                                                    {204, "No Content"},
                                                                    {301, "Moved Permanently"},
                                                                    {304, "Not Modified"},
                                                                    {400, "Bad Request"},
                                                                    {401, "Unauthorized"},
                                                                    {403, "Forbidden"},
                                                                    {404, "Not Found"},
                                                                    {405, "Method Not Allowed"},
                                                                    {406, "Not Acceptable"},
                                                                    {408, "Request Timeout"},
                                                                    {409, "Conflict"},
                                                                    {410, "Gone"},
                                                                    {413, "Request Entity Too Large"},
                                                                    {415, "Unsupported Media Type"},
                                                                    {422, "Unprocessable Entity"},
                                                                    {426, "Upgrade Required"},
                                                                    {429, "Too Many Requests"},
                                                                    {431, "Request Header Fields Too Large"},
                                                                    {500, "Internal Server Error"},
                                                                    {501, "Not Implemented"},
                                                                    {503, "Service Unavailable"},
                                                                    {504, "Gateway Timeout"},
                                                                    {507, "Insufficient Storage"}}};

void append_number(std::string& out, std::size_t n, int base = 10) {
  char text[24];
  const auto r = std::to_chars(text, text + sizeof text, n, base);
  out.append(text, r.ptr);
}

/// A header value must not end its line early.
void append_value(std::string& out, std::string_view v) {
  for (char c : v)
    out.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
}
} // namespace

std::string_view reason_phrase(int code) noexcept {
  for (const auto& [c, text] : phrases)
    if (c == code) return text;
  return "Status";
}

void append_head(std::string& out, int code, std::string_view content_type, const header_list& headers,
                 std::size_t length, bool close, std::string_view date) {
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::size_t>(code));
  out.append(" ").append(reason_phrase(code)).append("\r\n");
  if (!content_type.empty()) {
    out += "Content-Type: ";
    append_value(out, content_type);
    out += "\r\n";
  }
  bool cached = false;
  for (const auto& [name, value] : headers) {
    out.append(name).append(": ");
    append_value(out, value);
    out += "\r\n";
    cached = cached || name == "Cache-Control";
  }
  if (!cached) out += "Cache-Control: no-cache, private\r\n";
  out.append("Date: ").append(date);
  if (length == std::string_view::npos) {
    out += "\r\nTransfer-Encoding: chunked";
  } else {
    out += "\r\nContent-Length: ";
    append_number(out, length);
  }
  out += close ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n";
}

void append_chunk_size(std::string& out, std::size_t size) {
  append_number(out, size, 16);
  out += "\r\n";
}

std::string http_date(std::int64_t unix_seconds) {
  const std::time_t t = static_cast<std::time_t>(unix_seconds);
  std::tm tm{};
  gmtime_r(&t, &tm);
  char text[40];
  const auto n = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
  return std::string(text, n);
}

std::string gzip(std::string_view bytes) {
  z_stream z{};
  constexpr int gzip_window = 15 + 16;
  if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string out(deflateBound(&z, bytes.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  const int r = deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return r == Z_STREAM_END ? out : std::string{};
}

} // namespace troupe::http
