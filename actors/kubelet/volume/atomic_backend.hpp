// atomic_backend: writes a set of files into a directory so that readers see all of the old or all of the new.
// Owner:  thread-safe per directory as long as one caller writes it.
// Units:  file names are relative paths without `..`; contents at most limits::volume_payload_bytes_max each.
// Errors: 500 with the failing path and the system's reason; 507 when the disk is full.
// Source: Kubernetes volume AtomicWriter: DIR/..2026_11_23_10_00_00.1 holds the files, DIR/..data points at it by an
//         atomic rename, DIR/<first path part> points through ..data.
#pragma once

#include "api/status.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace troupe::kubelet {

struct payload_file {
  std::string bytes;
  std::uint32_t mode = 0644;
  std::optional<std::int64_t> uid;
  friend bool operator==(const payload_file&, const payload_file&) = default;
};
using file_set = std::map<std::string, payload_file>; // by relative path

/// True when something was written; false when the directory held exactly this already.
result<bool> write_atomically(const std::string& dir, const file_set& files, std::optional<std::int64_t> group);

/// A relative path that stays inside its directory and does not start with `..`.
bool is_safe_path(std::string_view path) noexcept;

/// Writes one small file in place of another (temporary name, rename).
result<void> replace_file(const std::string& path, std::string_view bytes, std::uint32_t mode);
result<std::string> read_small_file(const std::string& path, std::size_t bytes_max = 1u << 20);
/// mkdir -p.
result<void> make_dirs(const std::string& path, std::uint32_t mode);
status system_error(std::string_view doing, const std::string& path, int error);

} // namespace troupe::kubelet
