// quantity: an amount such as `1500m`, `1.5Gi` or `2e3`, exact down to 10^-9.
// Owner:  nobody; plain value.
// Units:  nano-units in 128 bits; binary amounts are capped at 2^63-1, decimal ones at 10^28.
// Errors: errors::bad_request with the text kube-apiserver gives.
// Source: k8s API section 8; apimachinery resource.Quantity.
#pragma once

#include "api/status.hpp"

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe {

class quantity {
public:
  __extension__ using wide = __int128;
  /// The suffix family survives arithmetic: 1Gi + 512Mi prints 1536Mi, not 1610612736.
  enum class family : std::uint8_t { decimal, binary, exponent };

  constexpr quantity() = default;
  static result<quantity> parse(std::string_view text);
  /// A JSON string or number.
  static result<quantity> parse(const json::value& v);
  /// Zero when the text is absent or unparsable: for values that were validated before.
  static quantity parse_or_zero(const json::value* v) noexcept;
  static constexpr quantity from_units(std::int64_t n, family f = family::decimal) {
    return {wide{n} * nano_per_unit, f};
  }
  static constexpr quantity from_milli(std::int64_t n, family f = family::decimal) {
    return {wide{n} * (nano_per_unit / 1000), f};
  }

  /// Whole units (bytes, pods), rounded away from zero, saturating.
  std::int64_t units() const noexcept;
  /// Thousandths (milli-cores), rounded away from zero, saturating.
  std::int64_t milli() const noexcept;
  double approximate() const noexcept;
  int sign() const noexcept { return nano_ < 0 ? -1 : nano_ > 0 ? 1 : 0; }
  bool is_zero() const noexcept { return nano_ == 0; }
  family suffixes() const noexcept { return family_; }
  wide nano() const noexcept { return nano_; }

  /// Rounds away from zero to milli: what resource lists are stored with.
  quantity rounded_to_milli() const noexcept;
  quantity& operator+=(const quantity& o) noexcept;
  quantity& operator-=(const quantity& o) noexcept;
  quantity times(std::int64_t n) const noexcept;
  friend quantity operator+(quantity a, const quantity& b) noexcept { return a += b; }
  friend quantity operator-(quantity a, const quantity& b) noexcept { return a -= b; }
  friend bool operator==(const quantity& a, const quantity& b) noexcept { return a.nano_ == b.nano_; }
  friend std::strong_ordering operator<=>(const quantity& a, const quantity& b) noexcept {
    return a.nano_ < b.nano_   ? std::strong_ordering::less
           : a.nano_ > b.nano_ ? std::strong_ordering::greater
                               : std::strong_ordering::equal;
  }

  /// Canonical: no fraction, the largest suffix of the family that keeps it whole.
  std::string to_string() const;

private:
  static constexpr wide nano_per_unit = 1'000'000'000;
  constexpr quantity(wide nano, family f) : nano_(nano), family_(f) {}
  wide nano_ = 0;
  family family_ = family::decimal;
};

/// parse + to_string: `1000m` -> `1`, `1.5Gi` -> `1536Mi`.
result<std::string> canonical_quantity(std::string_view text);

} // namespace troupe
