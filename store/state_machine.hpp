// state_machine: applies committed transactions to the objects: pure and deterministic, the same on every member.
// Owner:  one writer (the raft actor); views it makes are immutable and go anywhere.
// Units:  the revision grows by one per transaction that changes something, and by nothing else.
// Errors: a refused transaction (failed compare, wrong term, unreadable record) changes nothing and costs no revision.
// Source: etcd apply; ours: resourceVersion is spliced into bytes that were encoded before the log.
#pragma once

#include "store/log_entry.hpp"
#include "store/state_view.hpp"
#include "store/txn.hpp"
#include "store/txn_codec.hpp"
#include "store/watch_hub.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace troupe::store {

/// One object written or deleted, for the disk and for the watchers.
struct change_record {
  std::shared_ptr<const std::string> table;
  event_type what = event_type::added;
  object_ptr current;  // deleted: last state carrying the deletion's revision
  object_ptr previous; // null for added
};

class state_machine {
public:
  state_machine() = default;

  // Recovery.
  void load(std::string_view name, object_ptr o);
  /// A whole table at once; the objects ascend by (namespace, name).
  void load_sorted(std::string_view name, std::vector<object_ptr> objects);
  void set_revision(revision r) { rev_ = r; }

  /// Applies one entry; appends what it changed to `changes` (all with the same revision).
  txn_result apply(const log_entry& e, std::vector<change_record>& changes);

  revision rev() const noexcept { return rev_; }
  object_ptr get(const key_ref& k) const;
  /// An immutable snapshot of everything applied so far.
  std::shared_ptr<const state_view> snapshot();

private:
  struct table {
    std::shared_ptr<const std::string> name;
    tree objects;
  };
  table& table_of(std::string_view name);
  const table* find(std::string_view name) const;
  bool compares_hold(txn_result& out);
  void write(const txn_ref::put_ref& p, txn_result& out, std::vector<change_record>& changes);
  void remove(const key_ref& k, txn_result& out, std::vector<change_record>& changes);

  std::map<std::string, table, std::less<>> tables_;
  revision rev_ = 0;
  tree::stamp stamp_ = 1;
  txn_ref scratch_;
};

} // namespace troupe::store
