// txn_codec: a transaction as the bytes that enter the log, and back.
// Owner:  nobody; a decoded txn_ref points into the encoded bytes, which must outlive it.
// Units:  first byte is the format version (1); before it may stand a write id: the mark 2, 8 bytes, a varint.
// Errors: decoding returns false for anything that is not a whole, well-formed record.
// Source: ours.
#pragma once

#include "store/txn.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::store {

struct key_ref {
  std::string_view table, ns, name;
};

struct txn_ref {
  struct compare_ref {
    key_ref key;
    revision mod = 0;
  };
  struct put_ref {
    key_ref key;
    std::string_view bytes;
    std::size_t rv_offset = std::string::npos;
  };
  std::uint64_t fence_term = 0;
  std::vector<compare_ref> compares;
  std::vector<put_ref> puts;
  std::vector<key_ref> erases;
};

/// First byte of an entry that carries the id of its proposal.
constexpr char write_frame_mark = 2;

std::string encode_txn(const txn& t);
bool decode_txn(std::string_view bytes, txn_ref& out);

} // namespace troupe::store
