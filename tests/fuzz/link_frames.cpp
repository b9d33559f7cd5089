// Input: the payload of one frame between a worker and a master. What decodes must survive being encoded and decoded.
#include "actors/link/link_codec.hpp"
#include "tests/fuzz/input.hpp"

using namespace troupe;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto seen = link::decode_payload(test::text_of(data, size));
  if (!seen) return 0;
  const auto bytes = link::encode_payload(*seen);
  auto again = link::decode_payload(bytes);
  test::must(again.has_value());
  test::must(link::encode_payload(*again) == bytes);
  return 0;
}
