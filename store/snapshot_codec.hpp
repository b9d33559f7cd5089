// snapshot_codec: a whole state as bytes: what a leader streams to a member that is too far behind, and what
//                 `troupe backup` writes.
// Owner:  plain values; a writer or reader belongs to one thread, the view it reads is immutable.
// Units:  offsets are bytes from the start of the stream; blocks aim at limits::snapshot_block_bytes.
// Errors: a reader names the offset of what is wrong: magic, version, checksum, order, count, end. It never needs more
//         memory than the bytes it was given, times a small constant, whatever they claim.
// Source: ours.
//
// The stream: 8 bytes of magic and version, then blocks: u24 length, u8 kind, u32 crc32c of these four, payload, u32
// crc32c of all four and payload. Every crc continues the one before it (the first: the magic's), so that a block that
// is missing, repeated or out of place is found like a flipped bit, and the last crc covers the whole stream.
//   head    text(cluster id) varint(index, term, revision) text(group config)
//   records text(table), then per object: text(ns, name) varint(mod, created, rv_offset + 1) text(bytes), ascending
//   end     varint(number of objects)
#pragma once

#include "store/member_disk.hpp"
#include "store/state_view.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::store {

namespace limits {
inline constexpr std::size_t snapshot_block_bytes = 64 * 1024; // a block ends behind the record that reaches this
inline constexpr std::size_t snapshot_block_bytes_max = (1u << 24) - 1;
} // namespace limits

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
  /// The piece that begins at `offset`, `bytes_max` long but for the last one. Cheap for the piece after the last one
  /// asked for and for that one again; any other offset starts over from the beginning and skips. Behind the end: an
  /// empty last piece.
  piece at(std::uint64_t offset, std::size_t bytes_max);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Takes the stream in order, in pieces of any size, and builds the state.
class snapshot_reader {
public:
  snapshot_reader();
  /// Gives each object away instead of keeping it, in order; its refusal becomes the reader's.
  using object_sink = std::function<result<void>(std::string_view table, object_ptr)>;
  explicit snapshot_reader(object_sink sink);
  ~snapshot_reader();
  snapshot_reader(snapshot_reader&&) noexcept;

  /// The first error stays: whatever follows is refused with it.
  result<void> take(std::string_view bytes);
  /// Says what is missing when no more bytes come: an error unless complete.
  result<void> end() const;
  /// True when the end was read and everything agreed.
  bool complete() const noexcept;
  /// Null until the whole head was read.
  const snapshot_head* head() const noexcept;
  std::uint64_t objects() const noexcept;
  /// Bytes taken so far; the offset that must come next.
  std::uint64_t offset() const noexcept;
  /// Once complete: the state, with its revision set; null before, the second time, and with a sink.
  std::unique_ptr<state_machine> finish();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace troupe::store
