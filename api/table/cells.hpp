// cells: the pieces that table rows are made of.
// Owner:  inside api/table only.
// Units:  ages are relative to row_context::now.
// Errors: none; absent values print as the rule of their column says.
// Source: api/schema/data/printers.json, `rules`.
#pragma once

#include "api/meta/time.hpp"
#include "api/schema/registry.hpp"

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::table {

void append_json_string(std::string& out, std::string_view s);

/// One row being written, as the inside of a JSON array.
class row {
public:
  row(std::string& out, sys_micros now) : out_(out), now_(now) {}
  row& text(std::string_view s);
  row& number(std::int64_t n);
  row& boolean(bool b);
  /// `metadata.name`, the first cell of nearly every row.
  row& name(const json::value& o);
  /// Age of the object, or of an instant.
  row& age(const json::value& o);
  row& age_of(std::string_view instant);
  sys_micros now() const noexcept { return now_; }
  std::size_t count() const noexcept { return count_; }

private:
  void next();
  std::string& out_;
  sys_micros now_;
  std::size_t count_ = 0;
};

/// Writes all cells of one object.
using row_writer = void (*)(row& r, const json::value& o);
struct row_rule {
  std::string_view group, plural;
  row_writer write;
};
std::span<const row_rule> core_rows();
std::span<const row_rule> workload_rows();
std::span<const row_rule> network_rows();
std::span<const row_rule> storage_rows();
std::span<const row_rule> policy_rows();
/// The writer of a resource; nullptr when it has no table of its own.
row_writer find_row(std::string_view group, std::string_view plural);
void pod_row(row& r, const json::value& pod);

std::string_view or_else(std::string_view s, std::string_view otherwise);
std::string join(const std::vector<std::string>& v, std::string_view by);
/// The first `max` joined by a comma, then ` + N more...`.
std::string join_few(const std::vector<std::string>& v, std::size_t max, std::string_view by = ",");
/// Strings of an array, or a member of each element.
std::vector<std::string> strings(const json::array& a, std::string_view member = {});
/// Sorted `k=v` joined by a comma; `<none>` when empty.
std::string labels_text(const json::object& labels);
/// A LabelSelector; `<none>` when absent or empty.
std::string selector_text(const json::value* selector);
/// Names, images of the containers of a pod spec at the path.
std::string containers_text(const json::value& o, std::initializer_list<std::string_view> pod_spec,
                            std::string_view member);
std::string access_modes_text(const json::array& modes);
const json::value* condition(const json::value& o, std::string_view type);
bool condition_true(const json::value& o, std::string_view type);

} // namespace troupe::table
