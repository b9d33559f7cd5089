#include "api/meta/time.hpp"

#include <array>
#include <cstdio>

namespace troupe {

namespace {

namespace chrono = std::chrono;

bool digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Reads exactly `n` digits at `at`; -1 when they are not there.
int digits(std::string_view s, std::size_t at, std::size_t n) noexcept {
  if (at + n > s.size()) return -1;
  int v = 0;
  for (std::size_t i = at; i < at + n; ++i) {
    if (!digit(s[i])) return -1;
    v = v * 10 + (s[i] - '0');
  }
  return v;
}

/// Seconds and fraction apart: nanoseconds since 1970 in 64 bits would end in the year 2262.
std::string format(chrono::sys_seconds whole, std::int64_t fraction, int fraction_digits) {
  const auto days = chrono::floor<chrono::days>(whole);
  const chrono::year_month_day date{days};
  const chrono::hh_mm_ss clock{whole - days};
  std::array<char, 64> buf{};
  int n = std::snprintf(buf.data(), buf.size(), "%04d-%02u-%02uT%02d:%02d:%02d", int(date.year()),
                        unsigned(date.month()), unsigned(date.day()), int(clock.hours().count()),
                        int(clock.minutes().count()), int(clock.seconds().count()));
  if (fraction_digits > 0)
    n += std::snprintf(buf.data() + n, buf.size() - std::size_t(n), ".%0*lld", fraction_digits,
                       static_cast<long long>(fraction));
  buf[std::size_t(n)] = 'Z';
  return {buf.data(), std::size_t(n) + 1};
}

/// One fraction with a unit of a Go duration, e.g. `1.5h`; false when malformed.
bool duration_term(std::string_view& s, std::uint64_t& ns) {
  constexpr std::uint64_t most = std::uint64_t{1} << 63;
  std::size_t i = 0;
  std::uint64_t whole = 0, fraction = 0, scale = 1;
  bool any = false;
  for (; i < s.size() && digit(s[i]); ++i, any = true) {
    if (whole > most / 10) return false;
    whole = whole * 10 + std::uint64_t(s[i] - '0');
  }
  if (i < s.size() && s[i] == '.')
    for (++i; i < s.size() && digit(s[i]); ++i, any = true)
      if (scale < 1'000'000'000'000'000) { // digits beyond are less than a nanosecond of any unit
        fraction = fraction * 10 + std::uint64_t(s[i] - '0');
        scale *= 10;
      }
  if (!any) return false;
  s.remove_prefix(i);
  static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 8> units{{{"ns", 1},
                                                                                    {"us", 1000},
                                                                                    {"µs", 1000},
                                                                                    {"μs", 1000},
                                                                                    {"ms", 1'000'000},
                                                                                    {"s", 1'000'000'000},
                                                                                    {"m", 60'000'000'000},
                                                                                    {"h", 3'600'000'000'000}}};
  for (const auto& [name, factor] : units) {
    if (!s.starts_with(name) || (name == "m" && s.starts_with("ms"))) continue;
    s.remove_prefix(name.size());
    if (whole > most / factor) return false;
    // As Go computes it: exact for every unit but the hour, and there to the nanosecond.
    const auto part = static_cast<double>(fraction) * (static_cast<double>(factor) / static_cast<double>(scale));
    ns += whole * factor + static_cast<std::uint64_t>(part);
    return ns < most;
  }
  return false;
}

std::string trim_fraction(std::int64_t whole, std::int64_t rest, int places) {
  auto out = std::to_string(whole);
  if (rest == 0) return out;
  auto f = std::to_string(rest);
  f.insert(0, std::size_t(places) - f.size(), '0');
  while (f.back() == '0')
    f.pop_back();
  return out + "." + f;
}

std::string pair_text(std::int64_t a, char ua, std::int64_t b, char ub) {
  auto out = std::to_string(a) + ua;
  if (b != 0) out += std::to_string(b) + ub;
  return out;
}

} // namespace

std::optional<sys_micros> parse_time(std::string_view s) noexcept {
  if (s.size() < 20 || s[4] != '-' || s[7] != '-' || (s[10] != 'T' && s[10] != 't') || s[13] != ':' || s[16] != ':')
    return std::nullopt;
  const int y = digits(s, 0, 4), mo = digits(s, 5, 2), d = digits(s, 8, 2);
  const int h = digits(s, 11, 2), mi = digits(s, 14, 2), sec = digits(s, 17, 2);
  if (y < 0 || mo < 1 || mo > 12 || d < 1 || h < 0 || h > 23 || mi < 0 || mi > 59 || sec < 0 || sec > 59)
    return std::nullopt;
  const chrono::year_month_day ymd{chrono::year{y}, chrono::month{unsigned(mo)}, chrono::day{unsigned(d)}};
  if (!ymd.ok()) return std::nullopt;
  std::size_t i = 19;
  std::int64_t micros = 0;
  if (s[i] == '.') {
    std::int64_t place = 100'000;
    const auto at = ++i;
    for (; i < s.size() && digit(s[i]); ++i, place /= 10)
      micros += (s[i] - '0') * place;
    if (i == at) return std::nullopt;
  }
  chrono::minutes offset{0};
  if (i >= s.size()) return std::nullopt;
  if (s[i] == 'Z' || s[i] == 'z') {
    if (i + 1 != s.size()) return std::nullopt;
  } else {
    if ((s[i] != '+' && s[i] != '-') || i + 6 != s.size() || s[i + 3] != ':') return std::nullopt;
    const int oh = digits(s, i + 1, 2), om = digits(s, i + 4, 2);
    if (oh < 0 || oh > 23 || om < 0 || om > 59) return std::nullopt;
    offset = chrono::minutes{oh * 60 + om} * (s[i] == '-' ? -1 : 1);
  }
  const auto out = sys_micros{chrono::sys_days{ymd}} + chrono::hours{h} + chrono::minutes{mi} + chrono::seconds{sec} +
                   chrono::microseconds{micros} - offset;
  // In UTC it may lie a day outside the years that four digits can tell.
  const auto year = chrono::year_month_day{chrono::floor<chrono::days>(out)}.year();
  if (year < chrono::year{0} || year > chrono::year{9999}) return std::nullopt;
  return out;
}

std::string format_time(chrono::sys_seconds t) { return format(t, 0, 0); }
std::string format_micro_time(sys_micros t) {
  const auto whole = chrono::floor<chrono::seconds>(t);
  return format(whole, (t - whole).count(), 6);
}
std::string format_nano_time(sys_nanos t) {
  const auto whole = chrono::floor<chrono::seconds>(t);
  return format(whole, (t - whole).count(), 9);
}

result<chrono::nanoseconds> parse_go_duration(std::string_view text) {
  const auto bad = [&] { return errors::bad_request("time: invalid duration " + json::serialize(json::string(text))); };
  auto s = text;
  const bool negative = s.starts_with('-');
  if (!s.empty() && (s[0] == '-' || s[0] == '+')) s.remove_prefix(1);
  if (s == "0") return chrono::nanoseconds{0};
  if (s.empty()) return bad();
  std::uint64_t ns = 0;
  while (!s.empty()) {
    if (s.find_first_not_of("0123456789.") == s.npos)
      return errors::bad_request("time: missing unit in duration " + json::serialize(json::string(text)));
    if (!duration_term(s, ns)) return bad();
  }
  const auto n = static_cast<std::int64_t>(ns);
  return chrono::nanoseconds{negative ? -n : n};
}

std::string format_go_duration(chrono::nanoseconds d) {
  auto n = d.count();
  if (n == 0) return "0s";
  std::string out;
  if (n < 0) {
    out = "-";
    n = n == INT64_MIN ? INT64_MAX : -n;
  }
  if (n < 1000) return out + std::to_string(n) + "ns";
  if (n < 1'000'000) return out + trim_fraction(n / 1000, n % 1000, 3) + "µs";
  if (n < 1'000'000'000) return out + trim_fraction(n / 1'000'000, n % 1'000'000, 6) + "ms";
  const auto s = n / 1'000'000'000;
  const auto rest = n % 1'000'000'000;
  if (s >= 3600) out += std::to_string(s / 3600) + "h";
  if (s >= 60) out += std::to_string(s / 60 % 60) + "m";
  return out + trim_fraction(s % 60, rest, 9) + "s";
}

std::string human_duration(chrono::seconds d) {
  const auto s = d.count();
  if (s < -1) return "<invalid>";
  if (s < 0) return "0s";
  if (s < 120) return std::to_string(s) + "s";
  const auto m = s / 60;
  if (m < 10) return pair_text(m, 'm', s % 60, 's');
  if (m < 180) return std::to_string(m) + "m";
  const auto h = m / 60;
  if (h < 8) return pair_text(h, 'h', m % 60, 'm');
  if (h < 48) return std::to_string(h) + "h";
  if (h < 192) return pair_text(h / 24, 'd', h % 24, 'h');
  if (h < 17520) return std::to_string(h / 24) + "d";
  const auto y = h / (24 * 365);
  if (h < 70080) return pair_text(y, 'y', h / 24 % 365, 'd');
  return std::to_string(y) + "y";
}

std::string human_age(std::string_view instant, sys_micros now) {
  const auto t = parse_time(instant);
  if (!t) return "<unknown>";
  // Whole seconds cut toward zero, as Go's Duration.Seconds() does.
  return human_duration(chrono::duration_cast<chrono::seconds>(now - *t));
}

} // namespace troupe
