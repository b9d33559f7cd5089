#include "api/meta/quantity.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace troupe {

namespace {

using wide = quantity::wide;
using family = quantity::family;

constexpr wide unit = 1'000'000'000;
constexpr wide milli_unit = 1'000'000;
constexpr wide units_cap = std::numeric_limits<std::int64_t>::max();
constexpr wide binary_cap = units_cap * unit;
// 10^28 units: room below 2^127 nano-units for adding many of them.
constexpr wide pow10(int n) {
  wide v = 1;
  while (n-- > 0)
    v *= 10;
  return v;
}
constexpr wide decimal_cap = pow10(37);

constexpr std::string_view format_error =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
constexpr std::string_view suffix_error = "unable to parse quantity's suffix";

struct suffix {
  std::string_view text;
  family kind;
  int power; // of 10, or of 2 for binary
};
constexpr std::array<suffix, 16> suffixes{{{"", family::decimal, 0},
                                           {"n", family::decimal, -9},
                                           {"u", family::decimal, -6},
                                           {"m", family::decimal, -3},
                                           {"k", family::decimal, 3},
                                           {"M", family::decimal, 6},
                                           {"G", family::decimal, 9},
                                           {"T", family::decimal, 12},
                                           {"P", family::decimal, 15},
                                           {"E", family::decimal, 18},
                                           {"Ki", family::binary, 10},
                                           {"Mi", family::binary, 20},
                                           {"Gi", family::binary, 30},
                                           {"Ti", family::binary, 40},
                                           {"Pi", family::binary, 50},
                                           {"Ei", family::binary, 60}}};

bool digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::optional<suffix> read_suffix(std::string_view s) noexcept {
  for (const auto& x : suffixes)
    if (x.text == s) return x;
  if (s.size() > 1 && (s[0] == 'e' || s[0] == 'E')) {
    auto digits = s.substr(1);
    if (digits[0] == '+') digits.remove_prefix(1);
    int power = 0;
    auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), power);
    if (ec == std::errc{} && end == digits.data() + digits.size()) return suffix{s, family::exponent, power};
  }
  return std::nullopt;
}

/// The unsigned number text times 2^`binary` times 10^`decimal`, in nano-units rounded up, capped.
wide scale(std::string_view whole, std::string_view fraction, int binary, int decimal, wide cap) noexcept {
  while (!whole.empty() && whole.front() == '0')
    whole.remove_prefix(1);
  while (!fraction.empty() && fraction.back() == '0')
    fraction.remove_suffix(1);
  // Digits beyond 15 places after the point only decide whether there is a rest to round up.
  constexpr std::size_t fraction_digits_max = 15;
  bool rest = fraction.size() > fraction_digits_max;
  if (rest) fraction = fraction.substr(0, fraction_digits_max);
  wide v = 0;
  int power = decimal + 9 - static_cast<int>(fraction.size());
  for (auto part : {whole, fraction})
    for (char c : part) {
      if (v > decimal_cap) return cap;
      v = v * 10 + (c - '0');
    }
  if (v == 0) return rest ? 1 : 0;
  for (int i = 0; i < binary; ++i) {
    if (v > decimal_cap * 8) return cap;
    // A rest of less than one unit of the last place is lost in the shift: it rounds up at the end.
    v *= 2;
  }
  for (; power > 0; --power) {
    if (v > decimal_cap) return cap;
    v *= 10;
  }
  for (; power < 0 && v != 0; ++power) {
    rest = rest || v % 10 != 0;
    v /= 10;
  }
  if (rest) ++v;
  return std::min(v, cap);
}

std::int64_t divide_up(wide nano, wide by) noexcept {
  wide q = nano / by;
  if (nano % by != 0) q += nano < 0 ? -1 : 1;
  if (q > units_cap) return std::numeric_limits<std::int64_t>::max();
  if (q < -units_cap - 1) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(q);
}

std::string wide_text(wide v) {
  if (v == 0) return "0";
  const bool negative = v < 0;
  std::string out;
  for (; v != 0; v /= 10) {
    const int d = static_cast<int>(v % 10);
    out.push_back(static_cast<char>('0' + (d < 0 ? -d : d)));
  }
  if (negative) out.push_back('-');
  std::reverse(out.begin(), out.end());
  return out;
}

std::string binary_text(wide units) {
  std::size_t power = 0;
  while (power < 6 && units % 1024 == 0) {
    units /= 1024;
    ++power;
  }
  constexpr std::array<std::string_view, 7> names{"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  return wide_text(units).append(names[power]);
}

std::string decimal_text(wide nano, family f) {
  int power = -9;
  while (power < 18 && nano % 1000 == 0) {
    nano /= 1000;
    power += 3;
  }
  auto out = wide_text(nano);
  if (power == 0) return out;
  if (f == family::exponent) return out.append("e").append(std::to_string(power));
  for (const auto& s : suffixes)
    if (s.kind == family::decimal && s.power == power) out.append(s.text);
  return out;
}

} // namespace

result<quantity> quantity::parse(std::string_view text) {
  std::size_t i = 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) ++i;
  const auto whole_at = i;
  while (i < text.size() && digit(text[i]))
    ++i;
  const auto whole = text.substr(whole_at, i - whole_at);
  std::string_view fraction;
  if (i < text.size() && text[i] == '.') {
    const auto at = ++i;
    while (i < text.size() && digit(text[i]))
      ++i;
    fraction = text.substr(at, i - at);
  }
  if (whole.empty() && fraction.empty()) return errors::bad_request(std::string{format_error});
  const auto tail = text.substr(i);
  const auto end_of_letters = tail.find_first_not_of("eEinumkKMGTP");
  if (end_of_letters != tail.npos) {
    auto digits = tail.substr(end_of_letters);
    if (digits[0] == '-' || digits[0] == '+') digits.remove_prefix(1);
    if (digits.find_first_not_of("0123456789") != digits.npos) return errors::bad_request(std::string{format_error});
  }
  const auto s = read_suffix(tail);
  if (!s) return errors::bad_request(std::string{suffix_error});
  const bool binary = s->kind == family::binary;
  auto f = s->kind;
  // Far exponents saturate either way; clamping keeps the loops short.
  const int power = std::clamp(s->power, -60, 60);
  wide v = scale(whole, fraction, binary ? power : 0, binary ? 0 : power, binary ? binary_cap : decimal_cap);
  if (binary && v > 0 && v < unit) f = family::decimal;
  return quantity{negative ? -v : v, f};
}

result<quantity> quantity::parse(const json::value& v) {
  if (const auto* s = v.if_string()) return parse(jq::view(*s));
  if (v.is_number()) return parse(json::serialize(v));
  return errors::bad_request(std::string{format_error});
}

quantity quantity::parse_or_zero(const json::value* v) noexcept {
  if (!v) return {};
  try {
    auto q = parse(*v);
    return q ? *q : quantity{};
  } catch (...) {
    return {};
  }
}

std::int64_t quantity::units() const noexcept { return divide_up(nano_, unit); }
std::int64_t quantity::milli() const noexcept { return divide_up(nano_, milli_unit); }
double quantity::approximate() const noexcept { return static_cast<double>(nano_) / 1e9; }

quantity quantity::rounded_to_milli() const noexcept {
  wide q = nano_ / milli_unit;
  if (nano_ % milli_unit != 0) q += nano_ < 0 ? -1 : 1;
  return {q * milli_unit, family_};
}

quantity& quantity::operator+=(const quantity& o) noexcept {
  if (nano_ == 0) family_ = o.family_; // an empty sum takes the form of what is added
  nano_ = std::clamp<wide>(nano_ + o.nano_, -decimal_cap * 10, decimal_cap * 10);
  return *this;
}

quantity& quantity::operator-=(const quantity& o) noexcept {
  if (nano_ == 0) family_ = o.family_;
  nano_ = std::clamp<wide>(nano_ - o.nano_, -decimal_cap * 10, decimal_cap * 10);
  return *this;
}

quantity quantity::times(std::int64_t n) const noexcept {
  wide v = 0;
  if (__builtin_mul_overflow(nano_, wide{n}, &v) || v > decimal_cap || v < -decimal_cap)
    v = (nano_ < 0) == (n < 0) ? decimal_cap : -decimal_cap;
  return {v, family_};
}

std::string quantity::to_string() const {
  if (nano_ == 0) return "0";
  // Below 1024 there is nothing a binary suffix could say.
  if (family_ == family::binary && (nano_ >= 1024 * unit || nano_ <= -1024 * unit)) {
    wide units = nano_ / unit;
    if (nano_ % unit != 0) units += nano_ < 0 ? -1 : 1;
    return binary_text(units);
  }
  return decimal_text(nano_, family_ == family::binary ? family::decimal : family_);
}

result<std::string> canonical_quantity(std::string_view text) {
  auto q = quantity::parse(text);
  if (!q) return q.error();
  return q->to_string();
}

} // namespace troupe
