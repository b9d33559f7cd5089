// txn: one atomic change of the store: compares, then puts and deletes. One entry of the log.
// Owner:  nobody; plain value. Evaluated at apply, deterministically, on every member.
// Units:  at most limits::txn_ops_max operations.
// Errors: a failed compare is an ordinary outcome (txn_result::ok false), not a status.
// Source: etcd Txn; ours: resourceVersion is spliced in at apply because only apply knows the revision.
#pragma once

#include "api/status.hpp"
#include "store/object.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::store {

/// Addresses one object: `table` is schema::resource::store_key.
struct object_key {
  std::string table;
  std::string ns;
  std::string name;
  friend bool operator==(const object_key&, const object_key&) = default;
};

/// Holds when the object's mod revision equals `mod`; 0 means "does not exist".
struct compare {
  object_key key;
  revision mod = 0;
};

/// `bytes` lacks the resourceVersion value: apply inserts the decimal revision at `rv_offset`
/// (inside the quotes of `"resourceVersion":""`). npos: insert nothing.
struct put {
  object_key key;
  std::string bytes;
  std::size_t rv_offset = std::string::npos;
};

/// A delete emits a DELETED event whose object is the last state with the deletion's resourceVersion.
/// Apply rewrites the stored bytes for that. Erasing what does not exist changes nothing and is no error.
struct erase {
  object_key key;
};

struct txn {
  std::vector<compare> compares;
  std::vector<put> puts;
  std::vector<erase> erases;
  /// Non-zero: refused when the current term is not this one (fencing of scheduler and controllers).
  std::uint64_t fence_term = 0;
};

struct txn_result {
  bool ok = false;
  revision rev = 0;                // revision of this txn when ok, else the current one
  std::vector<object_ptr> written; // one per put, in order, when ok
  std::vector<object_ptr> erased;  // last states, one per erase that existed, in order
  std::size_t failed_compare = 0;  // index of the first compare that did not hold
  object_ptr current;              // what that key holds now (null: absent)
  /// Set (code != 0) when the fate is not an ordinary one: no leader, disk full, shutting down.
  status error = status::none();
};

/// Serializes an object so that apply can splice the revision in: sets metadata.resourceVersion to "" and
/// returns the bytes and the offset between the quotes.
std::pair<std::string, std::size_t> encode_for_put(json::value& doc);

/// `bytes` with the decimal `rev` inserted at `offset`; unchanged when offset is npos.
exact_text splice_revision(std::string_view bytes, std::size_t offset, revision rev);
/// The bytes of `last` with its resourceVersion replaced by `rev`.
exact_text respliced(const object& last, revision rev);

/// What a proposal must satisfy before it enters the log: sizes, counts, keys named, no key written twice.
result<void> check(const txn& t);

} // namespace troupe::store
