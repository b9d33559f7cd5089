// limits: every bound of the store in one place; what happens beyond each is said beside it.
// Owner:  -
// Units:  names end in unit and bound.
// Errors: -
// Source: ours; object size as Kubernetes (etcd request limit 1.5 MiB).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace troupe::store::limits {

inline constexpr std::size_t object_bytes_max = 1536 * 1024; // beyond: 413
inline constexpr std::size_t txn_ops_max = 4096;             // compares + puts + erases; beyond: 413
inline constexpr std::size_t txn_bytes_max = 16u << 20;      // encoded; beyond: 413
inline constexpr std::size_t key_part_bytes_max = 512;       // table, namespace, name each; beyond: 400

inline constexpr std::size_t window_events_max = 16384;    // per table; oldest are forgotten, late cursors get 410
inline constexpr std::size_t window_bytes_max = 32u << 20; // per table, likewise
inline constexpr std::size_t hub_bytes_max = 96u << 20;    // all tables; the largest table forgets first
inline constexpr std::size_t refill_events_max = 8192;     // events read back from history at start
inline constexpr std::size_t refill_bytes_max = 16u << 20;

inline constexpr std::uint64_t disk_reserve_bytes = 64u << 20;  // less free space: writes get 507
inline constexpr std::chrono::seconds retention_min{300};       // old versions and history live at least this long
inline constexpr std::size_t compact_batch_revisions_max = 512; // one background delete batch

inline constexpr std::uint64_t wal_ahead_bytes_min = 64u << 10;  // zeros written behind a young write-ahead log
inline constexpr std::uint64_t wal_ahead_bytes_max = 256u << 10; // and behind a long one; doubled in between
inline constexpr std::uint64_t wal_ahead_writes_min = 8; // such writes fit in there; larger ones just lengthen the log

} // namespace troupe::store::limits
