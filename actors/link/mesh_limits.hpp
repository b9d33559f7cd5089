// mesh_limits: named bounds of the links between masters.
// Owner:  -
// Units:  stated per name.
// Errors: each line says what happens at the bound.
// Source: ours; measured in docs/decisions/0006.
#pragma once

#include <chrono>
#include <cstddef>

namespace troupe::limits::mesh {

using namespace std::chrono_literals;

/// Said in the hello; masters that differ do not talk to each other.
inline constexpr int protocol_version = 3;

/// One BASP message: a heartbeat never waits behind more than this per message before it.
inline constexpr std::size_t part_bytes = 64 * 1024;
/// Sent to one peer and not acknowledged by it; beyond, parcels are dropped and counted (Raft repeats itself).
inline constexpr std::size_t backlog_bytes = 16u << 20;
/// The largest parcel. A larger one is refused with an error in the log, and never sent.
inline constexpr std::size_t parcel_bytes_max = 64u << 20;
/// The receiver acknowledges when it has this much that it did not acknowledge.
inline constexpr std::size_t acknowledge_bytes = 64 * 1024;

/// A dial, from connect to the answered hello.
inline constexpr std::chrono::milliseconds dial_patience = 1500ms;
/// The answer to a hello goes into an empty socket; whoever does not take it is dropped.
inline constexpr std::chrono::milliseconds answer_patience = 200ms;
/// From the handed over session to the first round trip between the gateways.
inline constexpr std::chrono::milliseconds attach_patience = 2000ms;
/// Gateways ping each other: the round trip is shown, and one that answers nothing for so long is given up although
/// BASP's own heartbeats arrive.
inline constexpr std::chrono::milliseconds ping_every = 500ms;
inline constexpr std::chrono::milliseconds gateway_silence = 3000ms;
inline constexpr std::chrono::milliseconds look_every = 100ms; // for all of the above
/// Pause before the next dial, doubled up to the last; a third of it is random.
inline constexpr std::chrono::milliseconds redial_first = 20ms;
inline constexpr std::chrono::milliseconds redial_last = 500ms;
inline constexpr std::chrono::milliseconds redial_refused = 2000ms; // after a refusal: somebody must mend something
/// The same failure of the same peer is logged this often.
inline constexpr std::chrono::seconds repeat_log = 30s;
/// A member that left the group keeps its link this long, to hear of it.
inline constexpr std::chrono::milliseconds farewell = 1000ms;

} // namespace troupe::limits::mesh
