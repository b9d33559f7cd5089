#include "net/http/parser.hpp"

#include <doctest/doctest.h>

using namespace troupe::http;

namespace {

/// Feeds the request in pieces as a connection does: what was not used comes again with what follows.
std::string body_of(std::string_view request, std::size_t piece) {
  request_parser p;
  std::string pending;
  while (!request.empty() && !p.done() && p.error() == fault::none) {
    pending.append(request.substr(0, piece));
    request.remove_prefix(std::min(piece, request.size()));
    pending.erase(0, p.put(pending.data(), pending.size()));
    pending.erase(0, p.put(pending.data(), pending.size()));
  }
  if (!p.done()) return p.error() == fault::none ? "unfinished" : "fault";
  request_view v;
  p.fill(v);
  return std::string(v.body);
}

} // namespace

TEST_CASE("a chunked body may come in pieces of any size") {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::size_t piece = 1; piece < 100; ++piece) {
    CHECK(body_of(head + "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", piece) == "hello!");
    CHECK(body_of(head + "0\r\n\r\n", piece).empty());
    CHECK(body_of(head + "5\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n", piece) == "hello");
  }
}

TEST_CASE("a last chunk that is followed by rubbish is refused or waited for, and ends nothing else") {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::size_t piece = 1; piece < 100; ++piece) {
    CHECK(body_of(head + "0\r\nh", piece) == "unfinished");
    CHECK(body_of(head + "0\r\nhello\r\n0\r\n\r\n", piece) == "fault");
  }
}
