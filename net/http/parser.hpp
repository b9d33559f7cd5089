// parser: one HTTP/1.1 request, collected from any number of reads.
// Owner:  one connection; renewed for each request.
// Units:  limits::header_bytes_max, limits::body_bytes_max.
// Errors: fault says which answer the peer gets before the connection closes.
// Source: Boost.Beast's basic_parser; ours: header text goes to one buffer that is kept between requests.
#pragma once

#include "net/http/server.hpp"

#include <memory>
#include <string>

namespace troupe::http {

enum class fault { none, malformed, header_too_large, body_too_large };

class request_parser {
public:
  request_parser();
  ~request_parser();
  /// Takes bytes; returns how many were used. Stops behind the end of the request.
  std::size_t put(const char* data, std::size_t size);
  bool done() const;
  bool started() const; // some byte of a request has been seen
  bool header_done() const;
  fault error() const;
  bool keep_alive() const;
  bool wants_continue() const;
  /// The views live until reset.
  void fill(request_view& out) const;
  void reset();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace troupe::http
