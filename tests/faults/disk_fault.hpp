// disk_fault: makes the disk of a process slow, full or failing whenever it is told to. Preloaded into a master, where
//             tests/faults/disk.py tells it; or linked into a unit test, which does so itself.
// Owner:  whoever made the slots: one per directory, and only files beneath it are touched.
// Units:  microseconds, bytes.
// Errors: ENOSPC to the program that writes, EIO to the one that syncs. Preloaded without a control file
//         (TROUPE_FAULT_DISK) it does nothing.
// Source: ours. Rejected: a loop device or tmpfs that is filled up: neither can be slow, and the one syncs unlike the
//         disk beneath it, the other not at all.
//
// A full disk takes what is left, so that the last write is cut short, and then nothing; what statvfs tells of it is
// set apart, because a disk may fill up between the look and the write. New empty files, renames and removals go on.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace troupe::disk_fault {

/// The form is repeated in disk.py.
struct slot {
  char directory[192];
  std::atomic<std::uint32_t> sync_us_min, sync_us_max; // of each sync
  std::atomic<std::uint32_t> stalled;                  // writes and syncs wait until it is 0
  std::atomic<std::uint32_t> full;
  std::atomic<std::int64_t> room;           // while full: bytes that can still be written
  std::atomic<std::uint64_t> told_bytes;    // while full: what statvfs says is free
  std::atomic<std::uint64_t> late, refused; // what was done so far
  std::atomic<std::uint64_t> failing;       // syncs do nothing and say EIO

  bool holds(std::string_view path) const {
    const std::string_view dir(directory);
    return !dir.empty() && path.starts_with(dir) && (path.size() == dir.size() || path[dir.size()] == '/');
  }
  bool slow() const { return sync_us_max != 0 || stalled != 0; }
};
static_assert(sizeof(slot) == 248);

inline constexpr std::size_t slots_max = 8;

/// Null, or `slots_max` of them.
extern slot* slots;

} // namespace troupe::disk_fault
