// Input: a selector. What parses must print as a selector that parses to the same.
#include "api/codec/json_decode.hpp"
#include "api/meta/selector.hpp"
#include "tests/fuzz/input.hpp"

using namespace troupe;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = test::text_of(data, size);
  const label_selector::pair labels[] = {{"app", "web"}, {"n", "5"}};
  if (const auto s = label_selector::parse(text)) {
    s->matches(labels);
    const auto again = label_selector::parse(s->to_string());
    test::must(again && again->to_string() == s->to_string());
  }
  if (const auto f = field_selector::parse(text)) {
    const auto again = field_selector::parse(f->to_string());
    test::must(again && again->to_string() == f->to_string());
  }
  if (const auto doc = codec::parse_json(text)) {
    if (const auto s = label_selector::from_object(&doc->doc)) s->matches(labels);
    selectable_field(doc->doc, "status.successful");
  }
  return 0;
}
