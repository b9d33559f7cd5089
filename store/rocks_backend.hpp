// rocks_backend: log, objects with their versions, history and meta of one member in RocksDB; see rocks_impl.hpp for
// what
//                lies in the directory.
// Owner:  write() from one thread at a time (the log writer); reads and compaction from any other thread.
// Units:  one write() is one synced WriteBatch: all of it is there after a crash, or nothing.
// Errors: 507 when the disk is full, 500 with key and place for corrupt records (where peers can repair: the member
//         begins empty and recover() reports the damage), 409 for a directory that is in use or belongs to something
//         else. A write that failed left nothing behind that was acknowledged.
// Source: RocksDB 7.8; etcd mvcc for versions; ours: the history family drives both compaction and watch refill.
//
// Worked example of compaction. Key k is written at 3, 5 and deleted at 9; the history holds (5: k, before 3) and
// (9: k deleted, before 5). Moving the horizon to 5 deletes version 3: whoever reads at 5 or later never sees it.
// Moving it to 9 deletes version 5 and the tombstone of 9 together. The live set is never scanned.
// Rejected: a compaction filter (cannot tell whether a tombstone still hides something in a deeper level).
#pragma once

#include "api/status.hpp"
#include "store/limits.hpp"
#include "store/log_entry.hpp"
#include "store/member_disk.hpp"
#include "store/state_machine.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe::store {

struct backend_options {
  std::string dir;
  std::string cluster_id; // empty: whatever the directory holds
  member_id member{1};
  group_config first; // of a new directory: who founds the group; empty: this member joins one that exists
  std::uint64_t disk_reserve_bytes = limits::disk_reserve_bytes;
  bool never_set_aside = false; // damage is an error even where peers could repair it
};

class rocks_backend final : public member_disk {
public:
  static result<std::unique_ptr<rocks_backend>> open(backend_options options);
  ~rocks_backend() override;

  /// Reads everything back; loads the newest version of each object into `objects`.
  result<recovered_state> recover(state_machine& objects) override;
  /// The recent past, as far as limits allow, for the watch windows.
  result<history_window> read_history(const state_machine& objects, std::size_t events_max,
                                      std::size_t bytes_max) override;

  result<void> write(const write_group& g) override;
  result<void> room() const override;

  /// State at a revision, while it is not older than the horizon; 410 below it.
  result<object_ptr> get_at(const key_ref& k, revision rev) override;
  result<void> scan_at(std::string_view table, std::string_view ns, std::string_view after_ns,
                       std::string_view after_name, revision rev,
                       const std::function<bool(const object_ptr&)>& fn) override;

  /// Forgets versions that nobody can see at `horizon` or later. Does one bounded step; true when more is left.
  result<bool> compact(revision horizon) override;
  revision horizon() const noexcept override;

  const std::string& cluster_id() const noexcept override;
  result<void> condemn(const std::string& why) override;
  /// Flushes and closes; afterwards only the destructor may be called.
  result<void> close() override;

private:
  struct impl;
  explicit rocks_backend(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

/// Whether `dir` holds a store, whole or not, of this layout or an older one.
bool holds_store(const std::string& dir);

/// Bytes of a group_config, as in meta records and membership entries.
std::string encode_config(const group_config& c);
bool decode_config(std::string_view bytes, group_config& out);

} // namespace troupe::store
