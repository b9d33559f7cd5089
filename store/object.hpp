// object: one stored API object: the exact bytes that were committed, at one revision.
// Owner:  nobody; immutable and shared. Lists, watches and actor messages move the same pointer.
// Units:  bytes is one JSON document without trailing newline, at most limits::object_bytes_max.
// Errors: -
// Source: ours, design "encode once".
#pragma once

#include "api/json.hpp"
#include "store/exact_text.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::store {

/// One counter over the whole store; the Kubernetes resourceVersion.
using revision = std::uint64_t;

/// What selectors, the garbage collector and printers of keys need without a full parse.
struct object_meta {
  std::string uid;
  std::vector<std::pair<std::string, std::string>> labels; // sorted by key
  std::vector<std::string> owner_uids;
  bool deleting = false; // deletionTimestamp is set
  std::string node_name; // spec.nodeName (pods)
  const std::string* label(std::string_view key) const noexcept;
};
/// Extracts the above from a parsed object.
object_meta make_meta(const json::value& doc);

struct object {
  std::string ns; // empty for cluster scope
  std::string name;
  exact_text bytes;
  revision mod = 0;     // revision of the last write: metadata.resourceVersion
  revision created = 0; // revision of the creation
  /// Where the digits of metadata.resourceVersion begin in `bytes`; npos: the document carries none.
  std::size_t rv_offset = std::string::npos;

  /// Parsed on first use, then shared; thread-safe.
  const object_meta& meta() const;
  /// A fresh parse of the bytes. Costs microseconds per KiB: keep typed views instead of calling it often.
  json::value parse() const;

private:
  mutable std::once_flag once_;
  mutable std::unique_ptr<const object_meta> meta_; // on the heap: most objects are never asked
};

using object_ptr = std::shared_ptr<const object>;

} // namespace troupe::store
