// link_limits: named bounds of the link between workers and masters.
// Owner:  -
// Units:  stated per name.
// Errors: each line says what happens at the bound.
// Source: ours; design section 9.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace troupe::limits::link {

using namespace std::chrono_literals;

/// Said in the first frame; both sides must speak the same.
inline constexpr std::uint32_t protocol_version = 1;

/// Bytes after the length. A frame above its bound closes the session before anything is allocated for it.
inline constexpr std::size_t frame_bytes_max = 256 * 1024;
inline constexpr std::size_t object_frame_bytes_max = 2 * 1024 * 1024; // frames that may carry a whole object
inline constexpr std::size_t welcome_bytes_max = 64 * 1024;
/// Objects and events are gathered into frames of about this size, so that nothing else waits long behind one.
inline constexpr std::size_t batch_bytes = 64 * 1024;
/// Of every text that is a name (node, table, verb, user agent); longer is malformed.
inline constexpr std::size_t name_bytes_max = 1024;
inline constexpr std::size_t list_items_max = 4096; // of one list inside a frame, objects excepted
inline constexpr std::size_t masters_max = 16;

/// Waiting to be written to one peer; beyond, the session is closed: the peer does not take what it asked for.
inline constexpr std::size_t output_bytes_max = 32u << 20;
/// Read from one peer and not yet worked off; beyond, nothing more is read from it.
inline constexpr std::size_t input_bytes_max = 16u << 20;
inline constexpr std::size_t read_bytes = 256 * 1024; // one read of one session before the next gets its turn

/// Death is seen by silence: a client says something at least this often, and expects as much.
inline constexpr std::chrono::milliseconds ping_every = 300ms;
inline constexpr std::chrono::milliseconds silence_max = 1000ms;
/// A master is more patient: it has nothing to switch to.
inline constexpr std::chrono::milliseconds client_silence_max = 5000ms;
inline constexpr std::chrono::milliseconds loop_tick = 100ms;
inline constexpr std::chrono::milliseconds idle_tick = 500ms; // while nothing waits for an answer
/// A session that is to be closed after its last words has this long to say them.
inline constexpr std::chrono::milliseconds last_words = 1000ms;

/// Calls of one session without an answer; beyond, 429.
inline constexpr std::size_t calls_max = 8192;
/// How long a call waits for a master before it is answered with 503; how long for its answer before 504.
inline constexpr std::chrono::milliseconds no_master_patience = 5000ms;
inline constexpr std::chrono::milliseconds answer_patience = 30000ms;
/// What waits for a master meanwhile; beyond, 429.
inline constexpr std::size_t calls_waiting_max = 4096;

/// Feed: bytes a master may send before the worker has taken them in.
inline constexpr std::int64_t feed_credit_bytes = 4 << 20;
inline constexpr std::size_t feed_pull = 512; // events of one table taken from the hub at once
/// A feed whose cursor a lagging master has not reached looks again this often; the worker tries another master after
/// feed_patience.
inline constexpr std::chrono::milliseconds feed_lag_check = 20ms;
inline constexpr std::chrono::milliseconds feed_patience = 2000ms;
/// An idle feed says this often how far the cluster is, so that a cursor does not grow old.
inline constexpr std::chrono::milliseconds feed_bookmark = 2000ms;
/// The mirror's own history, for the components of the node.
inline constexpr std::size_t mirror_events_max = 8192;
inline constexpr std::size_t mirror_bytes_max = 8u << 20;

/// Streams of one session (logs, exec, attach, port-forward); beyond, 429.
inline constexpr std::size_t streams_max = 1024;
/// Chunks on their way that the reader has not asked for one by one.
inline constexpr std::uint32_t stream_chunks = 8;
/// Input bytes on their way to a container that it has not taken; beyond, `write` says full.
inline constexpr std::size_t stream_write_bytes_max = 256 * 1024;
inline constexpr std::size_t stream_piece_bytes = 64 * 1024;
inline constexpr std::chrono::seconds door_patience{20}; // for a kubelet's answer

/// Dialing: from connect to welcome; pause before the next try, doubled up to the last.
inline constexpr std::chrono::milliseconds dial_patience = 2000ms;
inline constexpr std::chrono::milliseconds redial_first = 100ms;
inline constexpr std::chrono::milliseconds redial_last = 2000ms;
inline constexpr std::chrono::milliseconds redial_refused = 2000ms; // after a refusal with a reason

} // namespace troupe::limits::link
