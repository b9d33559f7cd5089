// Input: a snapshot's bytes; the first byte says how they are cut, an odd one that the rest is a state to be written.
#include "store/snapshot_codec.hpp"
#include "tests/fuzz/input.hpp"

using namespace troupe;

namespace {

std::string written(const store::snapshot_head& head, store::state_machine& m, std::size_t piece) {
  store::snapshot_writer w(head, m.snapshot());
  std::string out;
  for (bool last = false; !last;) {
    auto p = w.at(out.size(), piece);
    out += *p.bytes;
    last = p.last;
  }
  return out;
}

void read(std::string_view bytes, std::size_t piece) {
  store::snapshot_reader r;
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    if (!r.take(bytes.substr(at, piece))) break;
  test::must(bool(r.end()) == r.complete());
  if (!r.complete()) return;
  const auto head = *r.head();
  auto m = r.finish();
  test::must(written(head, *m, 4096) == bytes || bytes.size() > store::limits::snapshot_block_bytes);
}

/// Lines "name=document" become objects; what is written must read back, and not when one byte is bent.
void round_trip(std::string_view text, std::size_t piece) {
  store::state_machine m;
  for (store::revision rev = 1; !text.empty(); ++rev) {
    const auto line = test::next_line(text);
    auto o = std::make_shared<store::object>();
    o->name = "n" + std::string(line.substr(0, line.find('=')));
    if (o->name.find('\0') != std::string::npos) continue;
    o->bytes = line;
    o->mod = o->created = rev;
    m.load("t", std::move(o));
    m.set_revision(rev);
  }
  store::snapshot_head head;
  head.mark.rev = m.rev();
  auto bytes = written(head, m, piece);
  store::snapshot_reader good, bad;
  test::must(bool(good.take(bytes)) && bool(good.end()));
  test::must(good.finish()->snapshot()->hash() == m.snapshot()->hash());
  bytes[piece % bytes.size()] ^= 4;
  test::must(!bad.take(bytes) || !bad.end());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto text = test::text_of(data + 1, size - 1);
  const std::size_t piece = 1 + data[0] / 2u;
  if (data[0] % 2 == 1)
    round_trip(text, piece);
  else
    read(text, piece);
  return 0;
}
