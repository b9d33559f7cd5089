#include "store/snapshot_codec.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace troupe;
using namespace troupe::store;

namespace {

struct sample {
  std::shared_ptr<const state_view> view;
  snapshot_head head;
};

/// A few tables, empty and crowded; every fifth object is large.
sample make_sample(int objects, std::uint64_t seed = 3) {
  std::mt19937_64 rng(seed);
  state_machine m;
  for (int i = 0; i < objects; ++i) {
    auto o = std::make_shared<object>();
    o->ns = i % 3 == 0 ? "" : "ns" + std::to_string(rng() % 4);
    o->name = "o" + std::to_string(i);
    o->bytes = "{\"rv\":\"" + std::string(rng() % (i % 5 == 0 ? 3000 : 40), 'x') + "\"}";
    o->mod = 10 + rng() % 90;
    o->created = 1 + rng() % 10;
    o->rv_offset = i % 2 == 0 ? 7 : std::string::npos;
    m.load(i % 3 == 0 ? "nodes" : i % 3 == 1 ? "pods" : "services", std::move(o));
  }
  m.set_revision(100);
  snapshot_head h{"cluster-a", {{log_index{77}, log_term{5}}, 100, {}}};
  h.mark.config.voters = {member_id{1}, member_id{2}, member_id{3}};
  h.mark.config.learners = {member_id{9}};
  return {m.snapshot(), h};
}

std::string whole(const sample& s, std::size_t piece_bytes = 1 << 20) {
  snapshot_writer w(s.head, s.view);
  std::string out;
  for (;;) {
    auto p = w.at(out.size(), piece_bytes);
    REQUIRE(p.bytes->size() <= piece_bytes);
    if (!p.last) REQUIRE(p.bytes->size() == piece_bytes);
    out += *p.bytes;
    if (p.last) return out;
  }
}

/// What a reader says of these bytes, given in pieces.
result<void> read(std::string_view bytes, std::size_t piece_bytes, snapshot_reader& r) {
  for (std::size_t at = 0; at < bytes.size(); at += piece_bytes)
    if (auto taken = r.take(bytes.substr(at, piece_bytes)); !taken) return taken;
  return r.end();
}
result<void> read(std::string_view bytes, std::size_t piece_bytes = 1 << 20) {
  snapshot_reader r;
  return read(bytes, piece_bytes, r);
}

} // namespace

TEST_CASE("a state comes back whole, whatever the size of the pieces") {
  const auto s = make_sample(500);
  const auto bytes = whole(s);
  for (std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, bytes.size()}) {
    CHECK(whole(s, std::max<std::size_t>(piece, 5)) == bytes);
    snapshot_reader r;
    auto done = read(bytes, piece, r);
    REQUIRE_MESSAGE(bool(done), done.error().message);
    CHECK(r.complete());
    CHECK(r.objects() == 500);
    CHECK(r.offset() == bytes.size());
    CHECK(r.head()->cluster_id == "cluster-a");
    CHECK(r.head()->mark.at == s.head.mark.at);
    CHECK(r.head()->mark.config == s.head.mark.config);
    auto m = r.finish();
    REQUIRE(m);
    CHECK(m->rev() == 100);
    CHECK(m->snapshot()->hash() == s.view->hash());
    CHECK_FALSE(r.finish());
  }
}

TEST_CASE("an empty state is a snapshot too") {
  const sample s{state_machine().snapshot(), {}};
  snapshot_reader r;
  REQUIRE(bool(read(whole(s), 3, r)));
  CHECK(r.objects() == 0);
  CHECK(r.finish()->rev() == 0);
}

TEST_CASE("a stream that ends anywhere too early is told with the place") {
  const auto bytes = whole(make_sample(20));
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    snapshot_reader r;
    auto said = read(std::string_view(bytes).substr(0, n), 1 << 20, r);
    REQUIRE_FALSE(bool(said));
    REQUIRE_FALSE(r.complete());
    REQUIRE_FALSE(r.finish());
    REQUIRE(said.error().message.find("ends at byte " + std::to_string(n)) != std::string::npos);
  }
  CHECK(read(bytes + "x").error().message.find("bytes follow its end") != std::string::npos);
}

TEST_CASE("one flipped bit anywhere is found, not later than its block") {
  const auto bytes = whole(make_sample(12));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto bent = bytes;
    bent[i] = static_cast<char>(bent[i] ^ (1 << (i % 8)));
    snapshot_reader r;
    auto said = read(bent, 64, r);
    REQUIRE_MESSAGE(!said, "flip at " << i);
    REQUIRE(said.error().message.find("damaged at byte ") != std::string::npos);
    REQUIRE_FALSE(r.complete());
    REQUIRE_FALSE(bool(r.take("more"))); // the first error stays
  }
}

TEST_CASE("blocks that are missing, repeated or exchanged are found") {
  sample s = make_sample(3000);
  const auto bytes = whole(s);
  std::vector<std::string> blocks;
  for (std::size_t at = 8; at < bytes.size();) {
    const auto u = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + i])); };
    const auto n = 8 + (u(0) | u(1) << 8 | u(2) << 16) + 4;
    blocks.push_back(bytes.substr(at, n));
    at += n;
  }
  REQUIRE(blocks.size() > 6);
  const auto joined = [&](const std::vector<std::string>& list) {
    std::string out = bytes.substr(0, 8);
    for (const auto& b : list)
      out += b;
    return out;
  };
  REQUIRE(joined(blocks) == bytes);
  for (std::size_t i = 0; i + 1 < blocks.size(); ++i) {
    auto missing = blocks, twice = blocks, exchanged = blocks;
    missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(i));
    twice.insert(twice.begin() + static_cast<std::ptrdiff_t>(i), blocks[i]);
    std::swap(exchanged[i], exchanged[i + 1]);
    REQUIRE_FALSE(bool(read(joined(missing))));
    REQUIRE_FALSE(bool(read(joined(twice))));
    REQUIRE_FALSE(bool(read(joined(exchanged))));
  }
}

TEST_CASE("a stream is taken up again at any piece, and starts over from any offset") {
  const auto s = make_sample(2000);
  const auto bytes = whole(s);
  snapshot_writer w(s.head, s.view);
  std::mt19937_64 rng(11);
  std::size_t at = 0;
  for (int i = 0; i < 300; ++i) {
    if (rng() % 8 == 0) at = rng() % (bytes.size() + 100);
    const std::size_t n = 1 + rng() % 9000;
    auto p = w.at(at, n);
    auto again = w.at(at, n);
    const auto want = at < bytes.size() ? bytes.substr(at, n) : std::string{};
    REQUIRE(*p.bytes == want);
    REQUIRE(*again.bytes == want);
    REQUIRE(p.last == (at + n >= bytes.size()));
    if (rng() % 4 != 0) at += p.bytes->size();
  }
}

TEST_CASE("a strange beginning, and claims of huge sizes, are refused at once") {
  CHECK(read("PK\x03\x04 something else").error().message.find("does not begin like a snapshot") != std::string::npos);
  CHECK(read("TRPSNAP\x02 whatever").error().message.find("format 2 is unknown") != std::string::npos);
  auto bytes = whole(make_sample(3));
  for (std::size_t i = 8; i < 11; ++i)
    bytes[i] = '\xff'; // a length of 16 MiB
  CHECK(read(bytes).error().message.find("front of a block") != std::string::npos);
}
