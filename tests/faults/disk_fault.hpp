// disk_fault: makes the disk of a process slow, full or failing whenever it is told to. Preloaded into a master, where
//             tests/faults/disk.py tells it; or linked into a unit test, which does so itself.
// Owner:  whoever made the slots: one per directory, and only files beneath it are touched.
// Units:  microseconds, bytes.
// Errors: ENOSPC to the program that writes, EIO to the one that syncs, either to the one that makes or renames a file.
//         Preloaded without a control file (TROUPE_FAULT_DISK) it does nothing.
// Source: ours. Rejected: a loop device or tmpfs that is filled up: neither can be slow, and the one syncs unlike the
//         disk beneath it, the other not at all.
//
// A full disk takes what is left, so that the last write is cut short, and then nothing; what statvfs tells of it is
// set apart, because a disk may fill up between the look and the write. New empty files, renames and removals go on:
// that a disk refuses those is a fault of its own. What is there already can be opened and removed at any time.
//
// What a machine without power would find is kept by power_record.hpp, for what is `tracked`.
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
  std::atomic<std::uint64_t> failing;       // syncs do nothing and say EIO; `directories_only`: of files they work
  std::atomic<std::uint32_t> names_error;   // what making, renaming and linking files and directories says; 0: nothing
  std::atomic<std::int32_t> names_left;     // so many of these still go through
  std::atomic<std::uint32_t> tracked;       // power_record keeps what would survive; `unsynced`: nothing else does
  std::atomic<std::uint32_t> forgets;       // syncs of the kinds in this mask are not kept: the record of a liar
  std::atomic<std::int64_t> dies_after;     // so many operations later the process is killed; 0: never
  std::atomic<std::uint64_t> dies_in_sync;  // of these, only syncs count: what is being synced is open then

  bool holds(std::string_view path) const {
    const std::string_view dir(directory);
    return !dir.empty() && path.starts_with(dir) && (path.size() == dir.size() || path[dir.size()] == '/');
  }
  bool slow() const { return sync_us_max != 0 || stalled != 0; }
};
static_assert(sizeof(slot) == 280);

inline constexpr std::uint64_t directories_only = 2;

/// `tracked`: `also_synced` passes syncs on to the real disk, `unsynced` does not: what counts is the record.
enum tracking : std::uint32_t { untracked, also_synced, unsynced };
/// `forgets`: of write-ahead logs, of any directory, of the topmost one.
enum forgotten : std::uint32_t { log_syncs = 1, directory_syncs = 2, top_directory_syncs = 4 };

inline constexpr std::size_t slots_max = 8;

/// Null, or `slots_max` of them.
extern slot* slots;

} // namespace troupe::disk_fault
