// limits: every bound of the Raft actor in one place; what happens beyond each is said beside it.
// Owner:  -
// Units:  names end in unit and bound.
// Errors: -
// Source: ours.
#pragma once

#include <chrono>
#include <cstddef>

namespace troupe::limits {

inline constexpr std::size_t pending_txns_max = 65536;          // accepted, not yet applied; beyond: 429
inline constexpr std::size_t uncommitted_bytes_max = 64u << 20; // of log entries; beyond: 429
inline constexpr std::size_t gathered_txns_max = 4096;          // of one batch into the core; then it goes at once
inline constexpr std::size_t log_entries_max = 8192;            // kept behind the applied state; then cut to half
inline constexpr std::size_t log_bytes_max = 8u << 20;          // likewise
inline constexpr std::chrono::seconds maintain_every_max{30};   // compaction and idle flush

} // namespace troupe::limits
