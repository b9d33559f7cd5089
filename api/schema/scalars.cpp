#include "api/schema/scalars.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>

namespace troupe::schema {

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

bool digits(std::string_view s, std::size_t at, std::size_t n, int& out) noexcept {
  if (at + n > s.size()) return false;
  int v = 0;
  for (std::size_t i = at; i < at + n; ++i) {
    if (s[i] < '0' || s[i] > '9') return false;
    v = v * 10 + (s[i] - '0');
  }
  out = v;
  return true;
}

struct civil {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

/// The 19 characters before fraction and zone.
std::optional<civil> parse_civil(std::string_view s) noexcept {
  civil c;
  if (s.size() < 20 || s[4] != '-' || s[7] != '-' || (s[10] != 'T' && s[10] != 't') || s[13] != ':' || s[16] != ':')
    return std::nullopt;
  if (!digits(s, 0, 4, c.year) || !digits(s, 5, 2, c.month) || !digits(s, 8, 2, c.day) || !digits(s, 11, 2, c.hour) ||
      !digits(s, 14, 2, c.minute) || !digits(s, 17, 2, c.second))
    return std::nullopt;
  const std::chrono::year_month_day ymd{std::chrono::year{c.year}, std::chrono::month{static_cast<unsigned>(c.month)},
                                        std::chrono::day{static_cast<unsigned>(c.day)}};
  if (!ymd.ok() || c.hour > 23 || c.minute > 59 || c.second > 59) return std::nullopt;
  return c;
}

std::int64_t to_seconds(const civil& c) noexcept {
  const std::chrono::sys_days days{std::chrono::year_month_day{std::chrono::year{c.year},
                                                               std::chrono::month{static_cast<unsigned>(c.month)},
                                                               std::chrono::day{static_cast<unsigned>(c.day)}}};
  return days.time_since_epoch().count() * std::int64_t{86400} + c.hour * 3600 + c.minute * 60 + c.second;
}

std::string format(const instant& t, bool micro) {
  // 0000-01-01 and 9999-12-31T23:59:59, the years RFC 3339 can write.
  if (t.seconds < -62167219200 || t.seconds > 253402300799) return {};
  auto day = t.seconds / 86400;
  auto rest = t.seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    --day;
  }
  const std::chrono::year_month_day ymd{std::chrono::sys_days{std::chrono::days{day}}};
  std::array<char, 40> buf;
  int n = std::snprintf(buf.data(), buf.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(ymd.year()),
                        static_cast<unsigned>(ymd.month()), static_cast<unsigned>(ymd.day()),
                        static_cast<int>(rest / 3600), static_cast<int>(rest / 60 % 60), static_cast<int>(rest % 60));
  std::string out(buf.data(), static_cast<std::size_t>(n));
  if (micro) {
    n = std::snprintf(buf.data(), buf.size(), ".%06d", t.nanos / 1000);
    out.append(buf.data(), static_cast<std::size_t>(n));
  }
  return out += 'Z';
}

} // namespace

std::optional<instant> parse_time(std::string_view s) noexcept {
  const auto c = parse_civil(s);
  if (!c) return std::nullopt;
  instant t{to_seconds(*c), 0};
  std::size_t at = 19;
  if (s[at] == '.' || s[at] == ',') {
    std::int32_t unit = 100'000'000;
    const auto first = ++at;
    for (; at < s.size() && s[at] >= '0' && s[at] <= '9'; ++at, unit /= 10)
      t.nanos += (s[at] - '0') * unit;
    if (at == first) return std::nullopt;
  }
  if (at + 1 == s.size() && (s[at] == 'Z' || s[at] == 'z')) return t;
  int h = 0;
  int m = 0;
  if (at + 6 != s.size() || (s[at] != '+' && s[at] != '-') || s[at + 3] != ':' || !digits(s, at + 1, 2, h) ||
      !digits(s, at + 4, 2, m) || h > 23 || m > 59)
    return std::nullopt;
  const auto offset = h * 3600 + m * 60;
  t.seconds += s[at] == '+' ? -offset : offset;
  return t;
}

std::string format_time(const instant& t) { return format(t, false); }
std::string format_microtime(const instant& t) { return format(t, true); }

bool is_canonical_time(std::string_view s) noexcept {
  return s.size() == 20 && s[19] == 'Z' && s[10] == 'T' && parse_civil(s).has_value();
}

std::string format_number(double d) {
  const double size = std::fabs(d);
  const bool plain = size == 0 || (size >= 1e-6 && size < 1e21);
  std::array<char, 64> buf;
  const auto [end, ec] = std::to_chars(buf.data(), buf.data() + buf.size(), d,
                                       plain ? std::chars_format::fixed : std::chars_format::scientific);
  return ec == std::errc{} ? std::string(buf.data(), end) : std::string{"0"};
}

std::optional<std::int64_t> parse_duration(std::string_view s) noexcept {
  bool negative = false;
  if (!s.empty() && (s[0] == '-' || s[0] == '+')) {
    negative = s[0] == '-';
    s.remove_prefix(1);
  }
  if (s == "0") return 0;
  if (s.empty()) return std::nullopt;
  static constexpr std::pair<std::string_view, std::int64_t> units[] = {
      {"ns", 1},         {"us", 1000},     {"\u00b5s", 1000},     {"\u03bcs", 1000},
      {"ms", 1'000'000}, {"s", second_ns}, {"m", 60 * second_ns}, {"h", 3600 * second_ns},
  };
  __extension__ using wide = __int128;
  wide total = 0;
  while (!s.empty()) {
    wide whole = 0;
    wide fraction = 0;
    wide scale = 1;
    std::size_t i = 0;
    bool any = false;
    for (; i < s.size() && s[i] >= '0' && s[i] <= '9'; ++i, any = true)
      if (whole <= std::numeric_limits<std::int64_t>::max()) whole = whole * 10 + (s[i] - '0');
    if (i < s.size() && s[i] == '.')
      for (++i; i < s.size() && s[i] >= '0' && s[i] <= '9'; ++i, any = true)
        if (scale < wide{1'000'000'000'000'000}) {
          fraction = fraction * 10 + (s[i] - '0');
          scale *= 10;
        }
    if (!any) return std::nullopt;
    s.remove_prefix(i);
    const auto end = s.find_first_of(".0123456789");
    const auto word = s.substr(0, end);
    std::int64_t unit = 0;
    for (const auto& [name, ns] : units)
      if (name == word) unit = ns;
    if (unit == 0) return std::nullopt;
    total += whole * unit + fraction * unit / scale;
    if (total > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
    s.remove_prefix(word.size());
  }
  return static_cast<std::int64_t>(negative ? -total : total);
}

std::string format_duration(std::int64_t ns) {
  if (ns == 0) return "0s";
  const bool negative = ns < 0;
  // The magnitude of the smallest int64 does not fit one.
  auto left = negative ? ~static_cast<std::uint64_t>(ns) + 1 : static_cast<std::uint64_t>(ns);
  const auto with_fraction = [](std::uint64_t value, std::uint64_t unit, std::string_view suffix) {
    auto out = std::to_string(value / unit);
    if (auto rest = value % unit; rest != 0) {
      auto digits_text = std::to_string(rest + unit).substr(1);
      while (digits_text.back() == '0')
        digits_text.pop_back();
      out += '.' + digits_text;
    }
    return out.append(suffix);
  };
  std::string out = negative ? "-" : "";
  if (left < 1000) return out + std::to_string(left) + "ns";
  if (left < 1'000'000) return out + with_fraction(left, 1000, "\u00b5s");
  if (left < second_ns) return out + with_fraction(left, 1'000'000, "ms");
  const auto hours = left / (3600 * std::uint64_t{second_ns});
  left -= hours * 3600 * second_ns;
  const auto minutes = left / (60 * std::uint64_t{second_ns});
  left -= minutes * 60 * second_ns;
  if (hours != 0) out += std::to_string(hours) + "h";
  if (hours != 0 || minutes != 0) out += std::to_string(minutes) + "m";
  return out + with_fraction(left, second_ns, "s");
}

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr auto reverse_alphabet = [] {
  std::array<std::int8_t, 256> t{};
  t.fill(-1);
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    t[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  return t;
}();

int value_of(char c) noexcept { return reverse_alphabet[static_cast<unsigned char>(c)]; }

} // namespace

std::size_t base64_fault(std::string_view s) noexcept {
  std::size_t count = 0;
  std::size_t padding = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const char c = s[i];
    if (c == '\n' || c == '\r') continue;
    if (c == '=') {
      if (++padding > 2 || count % 4 < 2) return i;
    } else {
      if (padding != 0 || value_of(c) < 0) return i;
      ++count;
    }
  }
  return (count + padding) % 4 == 0 ? std::string_view::npos : s.size();
}

std::string base64_encode(std::string_view in) {
  std::string out;
  out.reserve((in.size() + 2) / 3 * 4);
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(in[i])); };
  std::size_t i = 0;
  for (; i + 2 < in.size(); i += 3) {
    const auto v = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (int shift = 18; shift >= 0; shift -= 6)
      out += alphabet[v >> shift & 63];
  }
  if (const auto left = in.size() - i; left != 0) {
    const auto v = byte(i) << 16 | (left == 2 ? byte(i + 1) << 8 : 0);
    out += alphabet[v >> 18 & 63];
    out += alphabet[v >> 12 & 63];
    out += left == 2 ? alphabet[v >> 6 & 63] : '=';
    out += '=';
  }
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (base64_fault(text) != std::string_view::npos) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int v = value_of(c);
    if (v < 0) continue; // padding and line breaks
    bits = bits << 6 | static_cast<std::uint32_t>(v);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out += static_cast<char>(bits >> held & 0xff);
    }
  }
  return out;
}

} // namespace troupe::schema
