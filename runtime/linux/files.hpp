// files: small files whole, atomic replacement, removal of trees, and errno as a sentence.
// Owner:  any thread; no state.
// Units:  bytes.
// Errors: 507 when the disk is full, 403 when privilege is missing, else 500; always with path and reason.
// Source: ours.
#pragma once

#include "api/status.hpp"
#include "runtime/linux/fd.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace troupe::runtime::linux_host {

/// 500 with exactly this sentence; people read it in a container's status and in events.
status failure(std::string message);
/// "cannot WHAT: REASON", with what to do where the reason is a full disk or a missing privilege.
status system_error(std::string_view what, int error);

std::optional<std::string> read_file(const std::string& path, std::size_t bytes_max = 1 << 20);
/// Writes into an existing file (cgroup, proc, sysctl).
result<void> write_value(const std::string& path, std::string_view value);
/// Replaces the file by rename; `durable` also waits for the disk, of the file and of its directory.
result<void> write_atomic(const std::string& path, std::string_view bytes, bool durable = false, unsigned mode = 0600);
result<void> make_directories(const std::string& path, unsigned mode = 0700);
/// Removes a tree without following links, staying on its file system; absent is fine.
result<void> remove_tree(const std::string& path);
/// Names in a directory, sorted, without . and ..; empty when it cannot be read.
std::vector<std::string> list_directory(const std::string& path);
/// Of these only the directories (links to such are none).
std::vector<std::string> list_subdirectories(const std::string& path);
bool exists(const std::string& path);
/// A name that is safe as one path component: letters, digits, '_', '.', '-', at most 200, not starting with '.' or
/// '-'.
bool safe_name(std::string_view name);
/// Reads a file of a foreign root without ever leaving it, whatever links it holds; empty when absent or too large.
std::string read_in_root(const std::string& root, const std::string& path, std::size_t bytes_max);

} // namespace troupe::runtime::linux_host
