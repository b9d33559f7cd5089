// view: an immutable snapshot of all current objects at one revision; what GET and LIST read, without a mailbox.
// Owner:  made by the store actor at each apply batch, published through store::published; readers on any thread.
// Units:  -
// Errors: absent objects are null pointers.
// Source: ours: persistent tree with path copying, so that a snapshot costs nothing and old ones stay valid.
#pragma once

#include "store/object.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::store {

class view {
public:
  virtual ~view() = default;
  virtual revision rev() const noexcept = 0;
  virtual object_ptr get(std::string_view table, std::string_view ns, std::string_view name) const = 0;
  /// Visits objects in (namespace, name) byte order. `ns` empty: all namespaces. Starts behind (after_ns, after_name)
  /// when after_name is not empty. Stops when `fn` returns false.
  virtual void scan(std::string_view table, std::string_view ns, std::string_view after_ns, std::string_view after_name,
                    const std::function<bool(const object_ptr&)>& fn) const = 0;
  /// Number of objects in the table (whole table when ns is empty, else that namespace, counted).
  virtual std::size_t count(std::string_view table, std::string_view ns) const = 0;
  virtual std::vector<std::string> tables() const = 0;

  void scan(std::string_view table, std::string_view ns, const std::function<bool(const object_ptr&)>& fn) const {
    scan(table, ns, {}, {}, fn);
  }
};

using view_ptr = std::shared_ptr<const view>;

/// Where the newest view is published. `current` is wait-free enough to call per request.
class published {
public:
  virtual ~published() = default;
  virtual view_ptr current() const = 0;
};

} // namespace troupe::store
