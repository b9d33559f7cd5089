// state_view: the view over persistent trees, and the place where the newest one is published.
// Owner:  made by the state machine; immutable; readers on any thread.
// Units:  -
// Errors: absent objects are null pointers.
// Source: store/view.hpp.
#pragma once

#include "store/shared_slot.hpp"
#include "store/tree.hpp"
#include "store/view.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe::store {

struct table_root {
  std::shared_ptr<const std::string> name; // shared by all views
  tree objects;
};

class state_view final : public view {
public:
  state_view(std::vector<table_root> tables, revision rev) : tables_(std::move(tables)), rev_(rev) {}

  revision rev() const noexcept override { return rev_; }
  object_ptr get(std::string_view table, std::string_view ns, std::string_view name) const override;
  void scan(std::string_view table, std::string_view ns, std::string_view after_ns, std::string_view after_name,
            const std::function<bool(const object_ptr&)>& fn) const override;
  std::size_t count(std::string_view table, std::string_view ns) const override;
  std::vector<std::string> tables() const override;

  const std::vector<table_root>& roots() const noexcept { return tables_; }
  /// A number that is equal on members whose state is equal. Walks everything.
  std::uint64_t hash() const;

private:
  const tree* find(std::string_view table) const;
  std::vector<table_root> tables_; // sorted by name
  revision rev_;
};

class published_view final : public published {
public:
  explicit published_view(view_ptr first) : current_(std::move(first)) {}
  view_ptr current() const override { return current_.load(); }
  void set(view_ptr next) { current_.store(std::move(next)); }

private:
  shared_slot<const view> current_;
};

} // namespace troupe::store
