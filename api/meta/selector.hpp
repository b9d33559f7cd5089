// selector: label and field selectors, parsed once and matched many times.
// Owner:  nobody; immutable values.
// Units:  -
// Errors: errors::bad_request with the texts of kube-apiserver's parser.
// Source: k8s API section 7; apimachinery labels.Parse, fields.ParseSelector.
#pragma once

#include "api/schema/registry.hpp"
#include "api/status.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe {

class label_selector {
public:
  enum class op : std::uint8_t { equals, double_equals, not_equals, in, not_in, exists, not_exists, greater, less };
  struct requirement {
    std::string key;
    op how = op::exists;
    std::vector<std::string> values; // sorted, unique
    friend bool operator==(const requirement&, const requirement&) = default;
  };
  using pair = std::pair<std::string, std::string>;

  /// Matches everything.
  label_selector() = default;
  static label_selector everything() { return {}; }
  static label_selector nothing();
  /// The query string form: `a=b,c in (d,e),!f`.
  static result<label_selector> parse(std::string_view text);
  /// The LabelSelector object; null (or JSON null) matches nothing, an empty object everything.
  static result<label_selector> from_object(const json::value* selector);
  /// A plain map, as Services and ReplicationControllers have it.
  static label_selector from_map(const json::object& labels);

  /// `labels` sorted by key (store::object_meta has them so).
  bool matches(std::span<const pair> labels) const noexcept;
  bool matches(const json::object& labels) const noexcept;
  bool matches_everything() const noexcept { return !nothing_ && requirements_.empty(); }
  bool matches_nothing() const noexcept { return nothing_; }
  std::span<const requirement> requirements() const noexcept { return requirements_; }
  /// Requirements sorted by key, as `status.selector` and tables print them.
  std::string to_string() const;
  friend bool operator==(const label_selector&, const label_selector&) = default;

private:
  static bool holds(const requirement& r, const std::string_view* value) noexcept;
  void sort();
  std::vector<requirement> requirements_;
  bool nothing_ = false;
};

class field_selector {
public:
  struct requirement {
    std::string field;
    bool equal = true;
    std::string value;
    friend bool operator==(const requirement&, const requirement&) = default;
  };

  static result<field_selector> parse(std::string_view text);
  /// 400 for a field that the resource cannot select by.
  result<void> check(const schema::resource& r) const;
  /// The value asked for when the selector pins `field` to one.
  std::optional<std::string_view> pinned(std::string_view field) const noexcept;
  bool matches_everything() const noexcept { return requirements_.empty(); }
  std::span<const requirement> requirements() const noexcept { return requirements_; }
  std::string to_string() const;

  /// `get(field)` returns something that converts to string_view (empty when absent).
  template <class Get>
  bool matches(Get&& get) const {
    for (const auto& r : requirements_)
      if ((std::string_view{get(std::string_view{r.field})} == r.value) != r.equal) return false;
    return true;
  }
  /// Against an object, with the derived fields of its kind (`source` of events, `status.successful` of jobs).
  bool matches(const json::value& object) const;

private:
  std::vector<requirement> requirements_;
};

/// The value of a selectable field of an object as text: booleans as true/false, absent numbers of the kind as 0.
std::string selectable_field(const json::value& object, std::string_view field);

} // namespace troupe
