// Input: an entry of the log. What decodes must survive being encoded and decoded again.
#include "store/txn_codec.hpp"
#include "tests/fuzz/input.hpp"

using namespace troupe;

namespace {
store::object_key own(const store::key_ref& k) {
  return {std::string(k.table), std::string(k.ns), std::string(k.name)};
}

std::string encoded_again(const store::txn_ref& seen) {
  store::txn t;
  t.fence_term = seen.fence_term;
  for (const auto& c : seen.compares)
    t.compares.push_back({own(c.key), c.mod});
  for (const auto& p : seen.puts)
    t.puts.push_back({own(p.key), std::string(p.bytes), p.rv_offset});
  for (const auto& e : seen.erases)
    t.erases.push_back({own(e)});
  return store::encode_txn(t);
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  store::txn_ref seen;
  if (!store::decode_txn(test::text_of(data, size), seen)) return 0;
  const auto bytes = encoded_again(seen);
  test::must(store::decode_txn(bytes, seen));
  test::must(encoded_again(seen) == bytes);
  return 0;
}
