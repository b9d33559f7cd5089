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
inline constexpr std::size_t owed_entries_max = 16;             // applied, objects not on disk yet; then they go along
inline constexpr std::size_t owed_bytes_max = 256u << 10;       // likewise
inline constexpr std::size_t busy_group_entries = 8;            // and with a group of so many at any time
inline constexpr std::chrono::seconds maintain_every_max{30};   // compaction and idle flush
inline constexpr unsigned deferred_messages_max = 64;           // handled before what they caused is sent on
inline constexpr std::size_t forward_bytes_max = 1u << 20;      // of one batch of writes to the leader
inline constexpr std::size_t lagging_bytes_max = 64u << 20;    // kept for members that lag; beyond: they get a snapshot
inline constexpr std::size_t snapshot_chunk_bytes = 64u << 10; // never delays a heartbeat for long
inline constexpr std::size_t promote_lag_entries_max = 4096;   // a learner further behind is not promoted

inline constexpr std::chrono::milliseconds compaction_pause{2};     // between two steps, so that writers come first
inline constexpr std::size_t trimmed_pages_max = 65536;             // resident; a larger heap is not looked through
inline constexpr std::chrono::milliseconds patience_every{100};     // how often waiting writes and reads are looked at
inline constexpr std::chrono::milliseconds refused_pause{20};       // after a refusal, before writes go out again
inline constexpr std::chrono::milliseconds retry_write_after{500};  // a persist that failed in a group
inline constexpr std::chrono::seconds fate_patience{10};            // for the answer to a write that is on its way: 504
inline constexpr std::chrono::seconds read_patience{3};             // for a leader that confirms a read: 503
inline constexpr std::chrono::milliseconds read_repeat{300};        // a question to the leader may be lost
inline constexpr std::chrono::seconds command_patience{15};         // for a membership change to be committed: 504
inline constexpr std::chrono::seconds make_way_pause_min{5};        // between two handovers for want of room,
inline constexpr std::chrono::minutes make_way_pause_max{5};        // each twice as long as the one before
inline constexpr std::chrono::milliseconds handover_patience{1500}; // for another leader, before a planned stop
inline constexpr std::chrono::seconds stop_patience{3};             // for open writes, before a planned stop
inline constexpr std::chrono::seconds snapshot_idle_max{30};        // an outgoing snapshot nobody asks for is forgotten

} // namespace troupe::limits
