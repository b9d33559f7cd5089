// wal_end: where the whole records of a write-ahead log end, and what the bytes behind them are.
// Owner:  -; a pure function over the bytes of one file.
// Units:  bytes from the start of the file.
// Errors: damage is one of the answers, with its place.
// Source: RocksDB's log format (blocks of 32 KiB; a fragment is a masked crc32c over type and payload, the payload's
//         length, its type, its payload); ours: how a torn write is told from damage (docs/decisions/0010).
#pragma once

#include <cstdint>
#include <string_view>

namespace troupe::store {

enum class wal_tail {
  none,    // the records reach the end of the file
  cut_off, // the file ends within its last record
  zeros,   // what was written ahead and never used
  torn,    // the last record reached the disk in parts, the rest are zeros still
  damaged, // anything else
};

struct wal_end {
  wal_tail tail = wal_tail::none;
  std::uint64_t end = 0; // of the last whole record
  std::uint64_t at = 0;  // of the first fragment that is not whole
};

/// What holds while there is one synced write after the other: only the last record can be torn, and whatever of it did
/// not reach the disk is zeros in whole sectors.
wal_end find_wal_end(std::string_view bytes);

} // namespace troupe::store
