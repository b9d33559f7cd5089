// limits: named bounds of the kubelet.
// Owner:  -
// Units:  stated per name.
// Errors: each line says what happens at the bound.
// Source: Kubernetes kubelet defaults; ours where it has none.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace troupe::kubelet::limits {

using namespace std::chrono_literals;

/// Jobs waiting for a worker; a refused job fails its step, which is tried again with the usual back-off.
inline constexpr std::size_t work_queue_max = 8192;
/// Threads that wait for registries, probes and hooks by exec: they may block for long and must not hold up starts.
inline constexpr unsigned slow_threads = 32;

/// Restart and pull back-off: first wait, cap; forgotten after twice the cap without failure.
inline constexpr std::chrono::seconds back_off_first = 10s;
inline constexpr std::chrono::seconds back_off_max = 300s;
/// Retry of sandbox, network and volume set-up.
inline constexpr std::chrono::seconds setup_retry_first = 1s;
inline constexpr std::chrono::seconds setup_retry_max = 60s;
/// A container that survived SIGKILL is looked at again after this.
inline constexpr std::chrono::seconds kill_check = 5s;
/// What a preStop hook leaves to SIGTERM at least.
inline constexpr std::chrono::seconds grace_after_hook_min = 2s;

/// Node lease and status.
inline constexpr std::chrono::seconds lease_renew = 10s;
inline constexpr std::chrono::seconds lease_duration = 40s;
inline constexpr std::chrono::seconds node_check = 10s;
inline constexpr std::chrono::seconds node_report = 300s;
inline constexpr std::chrono::milliseconds api_retry_first = 50ms;
inline constexpr std::chrono::seconds api_retry_max = 5s;
inline constexpr std::size_t node_images_max = 50;

/// Volumes: a service-account token is renewed when this part of its life is over.
inline constexpr double token_renew_part = 0.8;
inline constexpr std::size_t volume_payload_bytes_max = 1u << 20; // one configMap or secret key file

/// A process needs a moment until it listens; asking earlier would cost a whole period of readiness.
inline constexpr std::chrono::milliseconds probe_first_pause = 100ms;
/// Probes: bytes of a body kept for the event.
inline constexpr std::size_t probe_body_bytes_max = 10 * 1024;
inline constexpr std::size_t probe_message_bytes_max = 1024;

/// Streams: one chunk; stdin or port-forward bytes waiting for the other side before `write` says full.
inline constexpr std::size_t stream_chunk_bytes = 32 * 1024;
inline constexpr std::size_t stream_write_bytes_max = 256 * 1024;
inline constexpr std::size_t log_line_bytes_max = 64 * 1024; // a longer line is given out in pieces
/// Termination message taken from the log: its last lines and bytes.
inline constexpr std::size_t log_fallback_lines_max = 80;
inline constexpr std::size_t log_fallback_bytes_max = 2048;

/// Pressure thresholds of the node conditions (kubelet's hard eviction defaults).
inline constexpr std::int64_t memory_available_bytes_min = 100ll << 20;
inline constexpr double disk_available_part_min = 0.10;
inline constexpr double inodes_available_part_min = 0.05;
inline constexpr double pids_available_part_min = 0.05;

} // namespace troupe::kubelet::limits
