// limits: the named bounds of the container runtime.
// Owner:  nobody; constants.
// Units:  in the names.
// Errors: each use states the answer on overflow.
// Source: ours; the layer count is what overlayfs and Docker accept, the others leave room over what is usual.
#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe::runtime::limits {

/// More output of exec_sync is read and dropped, so that the process never blocks on a full pipe.
inline constexpr std::size_t exec_output_bytes_max = 16 * 1024;
/// Longer termination messages are cut.
inline constexpr std::size_t termination_message_bytes_max = 4096;
/// Longer errors of conmon or the OCI runtime are cut.
inline constexpr std::size_t runtime_error_bytes_max = 2048;

/// An image beyond one of these is refused as a whole.
inline constexpr std::size_t image_layers_max = 127;
inline constexpr std::uint64_t layer_bytes_max = 64ULL << 30;
inline constexpr std::uint64_t layer_entries_max = 4'000'000;
inline constexpr std::size_t layer_path_bytes_max = 4096;
inline constexpr std::uint64_t archive_bytes_max = 64ULL << 30;
inline constexpr std::uint64_t archive_entries_max = 65'536;
/// Manifests, configs and indexes; larger ones are refused.
inline constexpr std::uint64_t image_json_bytes_max = 8ULL << 20;
/// passwd and group files of an image; a larger file is read as empty.
inline constexpr std::size_t account_file_bytes_max = 4u << 20;
/// Nested image indexes.
inline constexpr int index_depth_max = 4;

/// Size of /dev/shm of a pod.
inline constexpr std::int64_t shm_bytes = 64 << 20;
/// How long a killed container may take to be reaped before remove answers with an error.
inline constexpr int kill_wait_ms_max = 10'000;

} // namespace troupe::runtime::limits
