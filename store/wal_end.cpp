#include "store/wal_end.hpp"

#include "store/crc32c.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

namespace troupe::store {

namespace {

constexpr std::size_t block_bytes = 32 * 1024;
constexpr std::size_t head_bytes = 7;
constexpr std::size_t sector_bytes = 512; // the least that reaches a disk whole or not at all

enum fragment_type : unsigned { full = 1, first = 2, middle = 3, last = 4 };

struct fragment {
  unsigned type = 0;
  std::size_t end = 0; // as its head says
};

std::size_t left_in_block(std::size_t at) { return block_bytes - at % block_bytes; }
bool begins(unsigned type) { return type == full || type == first; }
bool ends(unsigned type) { return type == full || type == last; }
unsigned byte_at(std::string_view b, std::size_t at) { return static_cast<unsigned char>(b[at]); }

/// The head at a place as it is, when such a fragment can lie there: there are that many bytes left in its block.
std::optional<fragment> head_at(std::string_view b, std::size_t at) {
  const auto length = byte_at(b, at + 4) | byte_at(b, at + 5) << 8;
  const fragment f{byte_at(b, at + 6), at + head_bytes + length};
  if (f.type < full || f.type > last || head_bytes + length > left_in_block(at)) return {};
  return f;
}

/// The checksum that the head carries, without RocksDB's mask.
std::uint32_t checksum_at(std::string_view b, std::size_t at) {
  std::uint32_t masked = 0;
  for (std::size_t i = 0; i < 4; ++i)
    masked |= static_cast<std::uint32_t>(byte_at(b, at + i)) << (8 * i);
  const auto turned = masked - 0xa282ead8u;
  return turned >> 17 | turned << 15;
}

std::optional<fragment> whole_fragment_at(std::string_view b, std::size_t at) {
  const auto f = head_at(b, at);
  if (!f || f->end > b.size()) return {};
  if (crc32c(b.substr(at + 6, f->end - at - 6)) != checksum_at(b, at)) return {};
  return f;
}

bool only_zeros(std::string_view b) { return b.find_first_not_of('\0') == b.npos; }

/// Whether another record lies behind a fragment that is not whole: a torn write is the last one. Fragments that go on
/// with the torn record may be whole, since sectors reach the disk in any order; they begin blocks.
bool records_behind(std::string_view b, std::size_t at, std::size_t used) {
  for (++at; at + head_bytes <= used;) {
    const auto f = left_in_block(at) < head_bytes ? std::nullopt : whole_fragment_at(b, at);
    if (!f) {
      ++at;
      continue;
    }
    if (begins(f->type) || at % block_bytes != 0) return true;
    at = f->end;
    if (f->type == last) return at < used;
  }
  return false;
}

/// The checksum does not cover the length: where it is right for another length, the head is bent, not torn.
bool whole_with_another_length(std::string_view b, std::size_t at) {
  const auto type = byte_at(b, at + 6);
  if (type < full || type > last) return false;
  const auto until = std::min(b.size(), at + left_in_block(at));
  const auto wanted = checksum_at(b, at);
  std::uint32_t sum = 0;
  for (auto p = at + 6; p < until; ++p) {
    sum = crc32c(b.substr(p, 1), sum);
    if (sum == wanted) return true;
  }
  return false;
}

bool lacks_a_sector(std::string_view b, std::size_t from, std::size_t until) {
  for (auto next = from; from < until; from = next) {
    next = std::min(until, (from / sector_bytes + 1) * sector_bytes);
    if (only_zeros(b.substr(from, next - from))) return true;
  }
  return false;
}

/// What the fragment at `at` is, which is not whole; `inside`: the record began in an earlier block.
wal_tail judge(std::string_view b, std::size_t at, bool inside) {
  const auto rest = b.substr(at);
  if (only_zeros(rest)) return inside ? wal_tail::torn : wal_tail::zeros;
  const auto used = at + rest.find_last_not_of('\0') + 1;
  if (records_behind(b, at, used) || whole_with_another_length(b, at)) return wal_tail::damaged;
  const auto f = head_at(b, at);
  if (f && f->end > b.size()) return wal_tail::cut_off;
  const auto until = std::max(used, f ? f->end : at + head_bytes);
  return lacks_a_sector(b, at, until) ? wal_tail::torn : wal_tail::damaged;
}

} // namespace

wal_end find_wal_end(std::string_view b) {
  wal_end out;
  std::size_t at = 0;
  bool inside = false; // a record of which fragments are still to come
  while (true) {
    if (left_in_block(at) < head_bytes) at += left_in_block(at);
    if (at + head_bytes > b.size()) break;
    const auto f = whole_fragment_at(b, at);
    if (!f || begins(f->type) == inside) {
      out.at = at;
      out.tail = f ? wal_tail::damaged : judge(b, at, inside);
      return out;
    }
    at = f->end;
    inside = !ends(f->type);
    if (!inside) out.end = at;
  }
  out.at = std::min(at, b.size());
  if (inside || !only_zeros(b.substr(out.at)))
    out.tail = wal_tail::cut_off;
  else if (out.end < b.size())
    out.tail = wal_tail::zeros;
  return out;
}

} // namespace troupe::store
