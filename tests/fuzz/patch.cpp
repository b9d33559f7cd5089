// Input: a document and a patch, one line of JSON each. Every kind of patch is tried on a Pod.
#include "api/patch/patch.hpp"
#include "api/codec/json_decode.hpp"
#include "tests/fuzz/input.hpp"

using namespace troupe;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto* pod = schema::registry::get().find_kind("", "v1", "Pod");
  auto rest = test::text_of(data, size);
  const auto doc = codec::parse_json(test::next_line(rest));
  const auto change = codec::parse_json(rest);
  if (!doc || !change) return 0;
  if (const auto out = patch::json_patch(doc->doc, change->doc)) json::serialize(*out);
  const auto merged = patch::merge_patch(doc->doc, change->doc);
  test::must(patch::merge_patch(doc->doc, patch::merge_diff(doc->doc, merged)) == merged);
  if (!doc->doc.is_object()) return 0;
  if (const auto out = patch::strategic_merge_patch(*pod, doc->doc, change->doc)) json::serialize(*out);
  return 0;
}
