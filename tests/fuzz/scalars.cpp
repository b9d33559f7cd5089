// Input: the text of a quantity, an instant or a Go duration. A canonical text must be its own canonical text.
#include "api/meta/quantity.hpp"
#include "api/meta/time.hpp"
#include "tests/fuzz/input.hpp"

using namespace troupe;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = test::text_of(data, size);
  if (const auto q = quantity::parse(text)) {
    const auto canonical = q->to_string();
    const auto again = canonical_quantity(canonical);
    test::must(again && *again == canonical);
    (*q + *q).rounded_to_milli().units();
    (*q - q->times(3)).milli();
  }
  if (const auto t = parse_time(text)) test::must(parse_time(format_micro_time(*t)) == t);
  if (const auto d = parse_go_duration(text)) {
    const auto again = parse_go_duration(format_go_duration(*d));
    test::must(again && *again == *d);
  }
  human_age(text, sys_micros{});
  return 0;
}
