// member_disk: the port to what one member keeps on disk: log, objects with their versions, history and meta.
// Owner:  write() and install() from one thread at a time (the log writer); reads and compaction from any thread.
// Units:  one write() is durable as a whole when it returns, or not at all.
// Errors: 507 disk full, 500 damage with its place, 409 a directory of somebody else.
// Source: ours; implemented by rocks_backend and, for simulation, by a disk that loses what was not synced.
#pragma once

#include "api/status.hpp"
#include "store/log_entry.hpp"
#include "store/state_machine.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe::store {

/// State of the objects as of one log index.
struct applied_mark {
  log_position at;
  revision rev = 0;
  group_config config;
};

struct recovered_state {
  hard_state hard;
  log_position base;          // the entry before the first one kept
  std::vector<log_entry> log; // contiguous from base.index + 1
  applied_mark applied;
  /// Log or objects were found damaged (the sentence names file, place and reason) and dropped; term and vote are
  /// whole. The member must take part without a vote until its peers have given everything back. Empty: all is well.
  std::string damage;
};

/// A whole state as a file of `snapshot_codec`, in pieces, in order. Immutable.
using snapshot_image = std::vector<std::shared_ptr<const std::string>>;

/// Everything that one sync makes durable, in the order of its members.
struct write_group {
  std::optional<hard_state> hard;
  /// Replaces log and objects; `applied` then holds the mark of the snapshot. Checked before it gets here.
  std::shared_ptr<const snapshot_image> install;
  std::vector<log_entry> append; // replaces the log from its first index on
  std::vector<change_record> changes;
  std::optional<applied_mark> applied;     // with `changes` or `install`
  std::optional<log_position> drop_log_to; // forget entries up to and with this one
};

struct history_window {
  std::vector<change_record> changes; // ascending revisions
  revision floor = 0;                 // complete for all revisions after this one
};

class member_disk {
public:
  virtual ~member_disk() = default;

  /// Reads everything back; loads the newest version of each object into `objects`.
  virtual result<recovered_state> recover(state_machine& objects) = 0;
  /// The recent past, as far as limits allow, for the watch windows.
  virtual result<history_window> read_history(const state_machine& objects, std::size_t events_max,
                                              std::size_t bytes_max) = 0;
  virtual result<void> write(const write_group& g) = 0;
  /// Whether new writes should be taken at all: 507 while the space left is in the reserve. Any thread; microseconds.
  virtual result<void> room() const { return {}; }

  /// State at a revision, while it is not older than the horizon; 410 below it.
  virtual result<object_ptr> get_at(const key_ref& k, revision rev) = 0;
  virtual result<void> scan_at(std::string_view table, std::string_view ns, std::string_view after_ns,
                               std::string_view after_name, revision rev,
                               const std::function<bool(const object_ptr&)>& fn) = 0;
  /// Forgets versions that nobody can see at `horizon` or later. Does one bounded step; true when more is left.
  virtual result<bool> compact(revision horizon) = 0;
  virtual revision horizon() const noexcept = 0;
  virtual const std::string& cluster_id() const noexcept = 0;
  /// Marks the data as not to be trusted: the next recover() reports this sentence as damage.
  virtual result<void> condemn(const std::string& why) = 0;
  /// Flushes and closes; afterwards only the destructor may be called.
  virtual result<void> close() = 0;
};

} // namespace troupe::store
