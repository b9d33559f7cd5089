// snapshot_codec: a whole state as bytes: what a leader streams to a member that is too far behind, and what
//                 `troupe backup` writes.
// Owner:  plain values; a writer belongs to one thread, the view it reads is immutable.
// Units:  chunks of at most limits::snapshot_chunk_bytes; offsets are bytes from the start of the stream.
// Errors: a reader names the offset of what is wrong: magic, version, checksum, order, count, end.
// Source: ours. Header (magic, version, cluster id, mark), one record per object in (table, ns, name) order, and after
//         each block of records its crc32c; the trailer holds the number of objects and the checksum of everything.
#pragma once

#include "store/member_disk.hpp"
#include "store/state_view.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::store {

struct snapshot_head {
  std::string cluster_id;
  applied_mark mark;
};

/// Produces the stream of one view. Deterministic: the same view and head give the same bytes.
class snapshot_writer {
public:
  snapshot_writer(snapshot_head head, std::shared_ptr<const state_view> view);
  ~snapshot_writer();
  snapshot_writer(snapshot_writer&&) noexcept;

  const snapshot_head& head() const noexcept;
  struct piece {
    std::shared_ptr<const std::string> bytes;
    bool last = false;
  };
  /// The piece that begins at `offset`: the one after the last asked for, or that one again; any other offset starts
  /// over from the beginning and skips.
  piece at(std::uint64_t offset, std::size_t bytes_max);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Takes the stream in order, in pieces of any size, and builds the state.
class snapshot_reader {
public:
  snapshot_reader();
  ~snapshot_reader();
  snapshot_reader(snapshot_reader&&) noexcept;

  result<void> take(std::string_view bytes);
  /// True when the trailer was read and everything agreed.
  bool complete() const noexcept;
  /// Valid after the first piece(s) held the whole header.
  const snapshot_head* head() const noexcept;
  std::uint64_t objects() const noexcept;
  /// Once complete: the state, with its revision set.
  std::unique_ptr<state_machine> finish();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace troupe::store
