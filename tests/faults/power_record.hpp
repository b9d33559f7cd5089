// power_record: keeps beside a directory what of it would survive if the machine lost its power now. power_cut.hpp
// makes
//               that real once the process is dead.
// Owner:  disk_fault.cpp, which tells of every operation; any thread.
// Units:  bytes.
// Errors: a record that cannot be kept ends the process: no test may pass because of that.
// Source: ours; the model of a disk in docs/decisions/0010 and of fsync in POSIX, no more: a file's sync makes neither
//         its name durable nor anything else. sync_file_range makes nothing durable, as its manual says.
//
// Beside DIR lies DIR.power:
//   disk/INODE  a file as of its last sync; none: it never was
//   live/INODE  the file itself, once more: what was removed can still be read, and its number is not given away
//   names       one line for each change of a name, written before it happens, and for each sync of a directory
// All of it is what the process would leave behind if it was killed at that moment, so nothing needs to be saved; and
// what one process did not sync is still known when the next one goes on. What is mapped into memory and written there
// is not seen (the store has none), nor are O_SYNC and O_DSYNC (it opens nothing so).
#pragma once

#include "tests/faults/disk_fault.hpp"

#include <mutex>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace troupe::disk_fault {

inline bool tracks(const slot* s) { return s && s->tracked != untracked; }

/// One change of a name. Nothing else happens to names from here to its end.
class name_change {
public:
  /// "mkdir", "rmdir", "unlink"; with `to`: "rename", "exchange", "link".
  name_change(slot* s, const char* what, const std::string& path, const std::string& to);
  /// Takes it back if it failed. Returns `r`, and leaves errno alone.
  int done(int r);

private:
  std::lock_guard<std::mutex> alone_;
  slot* s_;
  std::string gone_from_; // the directory in which `gone_` loses a name
  ino_t gone_ = 0;
  std::string directory_; // that is removed
};

/// Makes an empty file. False, with errno: it cannot be made.
bool record_new_file(slot* s, const std::string& path, mode_t mode);
void record_write(slot* s, int fd, off_t from, off_t until);
void record_sync(slot* s, int fd, const std::string& path);

} // namespace troupe::disk_fault
