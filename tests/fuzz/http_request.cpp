// Input: a byte that says how large the pieces are, then what a client sends, requests one behind the other.
#include "net/http/parser.hpp"
#include "tests/fuzz/input.hpp"

#include <algorithm>

using namespace troupe;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = data[0] + 1u;
  const auto bytes = test::text_of(data + 1, size - 1);
  http::request_parser parser;
  std::size_t at = 0, end = 0;
  while (end < bytes.size() && parser.error() == http::fault::none) {
    end = std::min(bytes.size(), end + piece);
    while (at < end && parser.error() == http::fault::none) {
      // Pieces lie in storage of their own, so that a read behind their end is seen.
      const std::string part(bytes.substr(at, end - at));
      const auto used = parser.put(part.data(), part.size());
      test::must(used <= part.size());
      at += used;
      if (parser.done()) {
        http::request_view view;
        parser.fill(view);
        std::vector<std::pair<std::string, std::string>> query;
        http::parse_query(view.query, query);
        view.header("content-type");
        parser.keep_alive();
        parser.reset();
      } else if (used == 0) {
        break;
      }
    }
  }
  return 0;
}
