// tree: persistent ordered map (namespace, name) -> object of one table: a B+ tree with path copying.
// Owner:  the writer edits its own copy; every other copy is an immutable snapshot, readable on any thread.
// Units:  32 entries per node; a batch copies each touched node at most once (edit stamps).
// Errors: -
// Source: Bagwell and Rompf's transients; ours: an inner node's separator is the smallest object below the child, so
//         no separator ever keeps a deleted object alive.
//
// Worked example: the writer holds stamp 7. Writing b copies leaf (a b c), stamped 3, to a leaf stamped 7, and its
// parents likewise. Writing c in the same batch finds the leaf stamped 7 and edits it in place. Publishing copies the
// root pointer and moves the writer to stamp 8: from now on nodes stamped 7 are shared and will be copied.
// Rejected: balanced binary trees (log2 n nodes copied per write, cold scans), hash tries (no order for lists).
#pragma once

#include "store/object.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace troupe::store {

class tree {
public:
  using stamp = std::uint64_t;

  object_ptr get(std::string_view ns, std::string_view name) const;
  /// A tree of objects that ascend, built without a search.
  static tree of_sorted(std::vector<object_ptr> objects, stamp now);
  /// Inserts or replaces; returns what was there.
  object_ptr put(object_ptr o, stamp now);
  /// Removes; returns what was there.
  object_ptr erase(std::string_view ns, std::string_view name, stamp now);

  std::size_t size() const noexcept { return root_ ? root_->total : 0; }
  /// Number of objects ordered before (ns, name).
  std::size_t rank(std::string_view ns, std::string_view name) const;
  /// Visits in order from the first object that is not before (ns, name), or strictly behind it with `behind`.
  /// `fn(const object_ptr&) -> bool` stops the visit by returning false.
  template <class Fn>
  void visit(std::string_view ns, std::string_view name, bool behind, Fn&& fn) const {
    if (root_) walk(*root_, ns, name, behind, true, fn);
  }
  /// True when order, separators, counts and fill are as they must be (for tests).
  bool intact() const;

  struct node {
    static constexpr unsigned width = 32;
    stamp edit = 0;
    std::size_t total = 0; // objects below
    unsigned n = 0;        // used slots
    bool leaf = true;
    std::array<object_ptr, width> keys; // leaf: the objects; inner: smallest object of each child
    virtual ~node() = default;
  };
  using node_ptr = std::shared_ptr<node>;
  struct inner final : node {
    std::array<node_ptr, width> kids;
    inner() { leaf = false; }
  };

  static int compare(const object& o, std::string_view ns, std::string_view name) {
    if (const int c = std::string_view(o.ns).compare(ns)) return c;
    return std::string_view(o.name).compare(name);
  }

private:
  template <class Fn>
  static bool walk(const node& at, std::string_view ns, std::string_view name, bool behind, bool bounded, Fn& fn) {
    unsigned i = bounded ? (at.leaf ? first_not_before(at, ns, name, behind) : child_of(at, ns, name)) : 0;
    for (; i < at.n; ++i) {
      if (at.leaf) {
        if (!fn(at.keys[i])) return false;
        continue;
      }
      if (!walk(*static_cast<const inner&>(at).kids[i], ns, name, behind, bounded, fn)) return false;
      bounded = false;
    }
    return true;
  }
  static unsigned first_not_before(const node& at, std::string_view ns, std::string_view name, bool behind);
  static unsigned child_of(const node& at, std::string_view ns, std::string_view name);

  node_ptr root_;
};

} // namespace troupe::store
