// Input: the first words of another master. What decodes survives the wire again, and every refusal fits into an
// answer.
#include "actors/link/mesh_hello.hpp"
#include "net/link/limits.hpp"
#include "tests/fuzz/input.hpp"

using namespace troupe;

namespace {
void judge(const mesh_hello& theirs) {
  mesh_hello mine;
  mine.protocol = 1;
  mine.cluster_id = "c0ffee";
  mine.name = "m2";
  mine.member = store::member_id{2};
  mine.life = 7;
  identity who;
  who.user = "system:troupe-master:m1";
  who.groups = {"system:troupe-masters"};
  const std::vector<mesh_peer> known{{store::member_id{1}, "m1", "10.0.0.1", 6444}};
  for (const auto* certificate : {&who, static_cast<identity*>(nullptr)}) {
    mesh_answer a{refuse_hello(mine, known, theirs, certificate), mine, 0};
    if (a.refusal.empty()) test::must(theirs.name == "m1" && theirs.cluster_id == "c0ffee");
    // The rest of a hello's bytes never comes back: names are cut in sentences.
    test::must(a.refusal.size() < 1024);
    (void)refuse_answer(mine, known[0], theirs, certificate);
  }
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = test::text_of(data, size);
  mesh_hello h;
  if (decode_hello(text, h)) {
    const auto bytes = encode_hello(h);
    mesh_hello again;
    test::must(decode_hello(bytes, again));
    test::must(encode_hello(again) == bytes);
    judge(h);
  }
  mesh_answer a;
  if (decode_answer(text, a)) {
    const auto bytes = encode_answer(a);
    mesh_answer again;
    test::must(decode_answer(bytes, again));
    test::must(encode_answer(again) == bytes);
  }
  return 0;
}
