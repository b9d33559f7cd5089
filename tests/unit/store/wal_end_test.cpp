#include "store/crc32c.hpp"
#include "store/wal_end.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>

using namespace troupe::store;

namespace {

constexpr std::size_t block = 32 * 1024, head = 7, sector = 512;

/// Writes records as RocksDB does.
struct log_maker {
  std::string bytes;
  void fragment(unsigned type, std::string_view payload) {
    const auto body = std::string(1, static_cast<char>(type)) + std::string(payload);
    const auto sum = crc32c(body);
    const auto masked = (sum >> 15 | sum << 17) + 0xa282ead8u;
    for (int i = 0; i < 4; ++i)
      bytes.push_back(static_cast<char>(masked >> (8 * i)));
    bytes.push_back(static_cast<char>(payload.size() & 0xff));
    bytes.push_back(static_cast<char>(payload.size() >> 8));
    bytes += body;
  }
  void record(std::string_view payload) {
    bool begun = false;
    while (true) {
      if (const auto left = block - bytes.size() % block; left < head) bytes.append(left, '\0');
      const auto n = std::min(payload.size(), block - bytes.size() % block - head);
      const bool done = n == payload.size();
      fragment(begun ? (done ? 4 : 3) : (done ? 1 : 2), payload.substr(0, n));
      begun = true;
      payload.remove_prefix(n);
      if (done) return;
    }
  }
};

/// No byte is zero, so a sector without any is one that is missing.
std::string payload_of(std::size_t n, unsigned seed) {
  std::mt19937 rng(seed);
  std::string out(n, '\0');
  for (auto& c : out)
    c = static_cast<char>(1 + rng() % 255);
  return out;
}

struct two_parts {
  std::string synced, all; // before and after the last write
};

/// Logs whose last record lies within a sector, a block, or many blocks, at places where the format has its corners.
std::vector<two_parts> logs() {
  std::vector<two_parts> out;
  const std::pair<std::size_t, std::size_t> shapes[] = {
      {0, 90},       {40, 90},        {500, 90},         {505, 90},        {300, 1400},      {1000, 5000},
      {32740, 90},   {32754, 200000}, {32755, 40},       {32759, 3000},    {32760, 3000},    {32761, 70000},
      {100, 100000}, {30000, 6000},   {block - 14, 100}, {block - 15, 10}, {block - 21, 100}};
  unsigned seed = 1;
  for (const auto& [before, last] : shapes) {
    log_maker l;
    if (before > 0) l.record(payload_of(before, ++seed));
    two_parts p{l.bytes, {}};
    l.record(payload_of(last, ++seed));
    p.all = l.bytes;
    out.push_back(std::move(p));
  }
  return out;
}

constexpr std::size_t ahead = 70000;

/// What a crash leaves of a write behind `synced`: each of its sectors, or zeros.
template <class Keep>
std::string torn(const two_parts& p, Keep keep) {
  auto out = p.all;
  for (auto at = p.synced.size(); at < out.size();) {
    const auto next = std::min(out.size(), (at / sector + 1) * sector);
    if (!keep(at / sector)) std::fill(out.begin() + static_cast<long>(at), out.begin() + static_cast<long>(next), '\0');
    at = next;
  }
  return out + std::string(ahead, '\0');
}

void check(std::string_view bytes, wal_tail tail, std::size_t end) {
  const auto found = find_wal_end(bytes);
  CHECK(int(found.tail) == int(tail));
  CHECK(found.end == end);
}

/// Where the last record begins: behind the filling of a block that has no room for a head.
std::size_t start_of_last(const two_parts& p) {
  const auto left = block - p.synced.size() % block;
  return left < head ? p.synced.size() + left : p.synced.size();
}

} // namespace

TEST_CASE("whole logs end where they end, with and without zeros behind") {
  check("", wal_tail::none, 0);
  check(std::string(65536, '\0'), wal_tail::zeros, 0);
  for (const auto& p : logs()) {
    check(p.all, wal_tail::none, p.all.size());
    check(p.all + std::string(1, '\0'), wal_tail::zeros, p.all.size());
    check(p.all + std::string(ahead, '\0'), wal_tail::zeros, p.all.size());
  }
}

TEST_CASE("a file that ends within its last record is one that was cut off, at whatever byte") {
  for (const auto& p : logs()) {
    const auto step = std::max<std::size_t>(1, (p.all.size() - p.synced.size()) / 500);
    for (auto n = start_of_last(p) + 1; n < p.all.size(); n += step) {
      INFO(p.synced.size() << " + " << p.all.size() - p.synced.size() << " cut at " << n);
      check(std::string_view(p.all).substr(0, n), wal_tail::cut_off, p.synced.size());
    }
  }
}

TEST_CASE("a last record of which any sectors are missing is torn") {
  for (const auto& p : logs()) {
    const auto from = p.synced.size() / sector, until = (p.all.size() + sector - 1) / sector;
    // Written from the front, from the back, and with one hole at each place.
    for (auto s = from; s < until; ++s) {
      const auto front = torn(p, [&](std::size_t i) { return i < s; });
      const auto back = torn(p, [&](std::size_t i) { return i > s; });
      const auto hole = torn(p, [&](std::size_t i) { return i != s; });
      for (const auto* bytes : {&front, &back, &hole}) {
        INFO(p.synced.size() << " + " << p.all.size() - p.synced.size() << ": sector " << s);
        const auto found = find_wal_end(*bytes);
        const bool nothing = bytes->find_first_not_of('\0', p.synced.size()) == bytes->npos;
        const bool filling = std::string_view(*bytes).substr(0, p.all.size()) == p.all;
        CHECK(int(found.tail) == int(nothing || filling ? wal_tail::zeros : wal_tail::torn));
        CHECK(found.end == (filling ? p.all.size() : p.synced.size()));
      }
    }
  }
}

TEST_CASE("any set of missing sectors leaves what was synced") {
  std::mt19937 rng(20260);
  for (int round = 0; round < 60; ++round)
    for (const auto& p : logs()) {
      const auto one_in = 2 + rng() % 8;
      const auto bytes = torn(p, [&](std::size_t) { return rng() % one_in != 0; });
      if (bytes.starts_with(p.all)) continue;
      const auto found = find_wal_end(bytes);
      CHECK((found.tail == wal_tail::torn || found.tail == wal_tail::zeros));
      CHECK(found.end == p.synced.size());
    }
}

TEST_CASE("a changed bit is damage wherever it is, and the place is told") {
  log_maker l;
  for (unsigned i = 0; i < 3; ++i)
    l.record(payload_of(80, i));
  const auto second = l.bytes.size() / 3, third = second * 2;
  for (const std::size_t zeros : {std::size_t{0}, ahead})
    for (std::size_t bit = 0; bit < l.bytes.size() * 8; ++bit) {
      auto bytes = l.bytes + std::string(zeros, '\0');
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
      const auto found = find_wal_end(bytes);
      const auto at = bit / 8 / second * second;
      INFO("bit " << bit);
      CHECK(int(found.tail) == int(wal_tail::damaged));
      CHECK(found.at == at);
      CHECK(found.end == at);
    }
  CHECK(third + second == l.bytes.size());
}

TEST_CASE("a changed bit in a record of many blocks is damage") {
  std::mt19937 rng(7);
  for (const auto& p : logs())
    for (int i = 0; i < 60; ++i) {
      auto bytes = p.all + std::string(i % 2 == 0 ? ahead : 0, '\0');
      const auto at = start_of_last(p) + rng() % (p.all.size() - start_of_last(p));
      // Whole bytes, of which none becomes zero; heads are bent bit by bit above.
      bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) == 0x55 ? 0x56 : bytes[at] ^ 0x55);
      if (at % block < head || at - start_of_last(p) < head) continue;
      INFO(p.synced.size() << " + " << p.all.size() - p.synced.size() << ": byte " << at);
      CHECK(int(find_wal_end(bytes).tail) == int(wal_tail::damaged));
    }
}

TEST_CASE("a missing sector with a record behind it is damage, not a torn write") {
  for (const auto& p : logs()) {
    log_maker l{p.all};
    l.record(payload_of(300, 99));
    for (auto s = start_of_last(p) / sector; s <= p.all.size() / sector; ++s) {
      two_parts more{p.synced, l.bytes};
      const auto bytes = torn(more, [&](std::size_t i) { return i != s; });
      // The hole lies before the second record's head, or that record is the torn one.
      const auto found = find_wal_end(bytes);
      INFO(p.synced.size() << " + " << p.all.size() - p.synced.size() << ": sector " << s);
      if ((s + 1) * sector <= p.all.size())
        CHECK(int(found.tail) == int(wal_tail::damaged));
      else
        CHECK(int(found.tail) != int(wal_tail::none));
    }
  }
}

TEST_CASE("fragments that do not follow each other are damage") {
  log_maker without_first;
  without_first.fragment(4, "end");
  check(without_first.bytes, wal_tail::damaged, 0);
  log_maker without_last;
  without_last.fragment(2, payload_of(block - head, 1));
  without_last.record("next");
  check(without_last.bytes, wal_tail::damaged, 0);
  check(std::string(40, 'x'), wal_tail::damaged, 0);
}

TEST_CASE("whatever the bytes are, an answer lies within them") {
  std::mt19937 rng(11);
  const auto all = logs();
  for (int round = 0; round < 2000; ++round) {
    auto bytes = all[rng() % all.size()].all;
    bytes.resize(rng() % (bytes.size() + 600));
    for (auto n = rng() % 5; n > 0 && !bytes.empty(); --n)
      bytes[rng() % bytes.size()] = static_cast<char>(rng());
    const auto found = find_wal_end(bytes);
    REQUIRE(found.end <= bytes.size());
    REQUIRE(found.at <= bytes.size());
    REQUIRE(found.end <= found.at);
  }
}
