#include "api/meta/names.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace troupe {

std::uint64_t random_source::next() noexcept {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

std::uint64_t random_source::below(std::uint64_t bound) noexcept {
  __extension__ using wide = unsigned __int128;
  return static_cast<std::uint64_t>((wide{next()} * bound) >> 64);
}

std::string random_suffix(random_source& r, std::size_t n) {
  // No vowels and no look-alikes, so that no word and no misreading comes out.
  constexpr std::string_view alphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string out(n, ' ');
  for (auto& c : out)
    c = alphabet[r.below(alphabet.size())];
  return out;
}

std::string generate_name(std::string_view base, random_source& r) {
  constexpr std::size_t base_bytes_max = 58;
  return std::string{base.substr(0, base_bytes_max)} + random_suffix(r);
}

std::string make_uid(random_source& r) {
  auto a = r.next();
  auto b = r.next();
  a = (a & ~0xf000ULL) | 0x4000ULL;
  b = (b & ~(3ULL << 62)) | (2ULL << 62);
  constexpr std::string_view hex = "0123456789abcdef";
  std::string out(36, '-');
  std::size_t nibble = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) continue;
    const auto word = nibble < 16 ? a : b;
    out[i] = hex[(word >> (60 - 4 * (nibble % 16))) & 15];
    ++nibble;
  }
  return out;
}

namespace names {

namespace {

constexpr std::string_view label_re = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
constexpr std::size_t label_bytes_max = 63;
constexpr std::size_t subdomain_bytes_max = 253;
constexpr std::size_t port_name_bytes_max = 15;

bool lower_alpha(char c) noexcept { return c >= 'a' && c <= 'z'; }
bool digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool alpha(char c) noexcept { return lower_alpha(c) || (c >= 'A' && c <= 'Z'); }
bool alnum(char c) noexcept { return alpha(c) || digit(c); }
bool lower_alnum(char c) noexcept { return lower_alpha(c) || digit(c); }

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
bool label_form(std::string_view s) noexcept {
  if (s.empty() || !lower_alnum(s.front()) || !lower_alnum(s.back())) return false;
  return std::all_of(s.begin(), s.end(), [](char c) { return lower_alnum(c) || c == '-'; });
}

bool subdomain_form(std::string_view s) noexcept {
  for (;;) {
    const auto dot = s.find('.');
    if (!label_form(s.substr(0, dot))) return false;
    if (dot == s.npos) return true;
    s.remove_prefix(dot + 1);
  }
}

/// `([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]`
bool name_part_form(std::string_view s) noexcept {
  if (s.empty() || !alnum(s.front()) || !alnum(s.back())) return false;
  return std::all_of(s.begin(), s.end(), [](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; });
}

std::string max_length(std::size_t n) { return "must be no more than " + std::to_string(n) + " characters"; }

std::string regex_fault(std::string_view what, std::string_view re, std::initializer_list<std::string_view> examples) {
  std::string out{what};
  out += " (e.g. ";
  bool first = true;
  for (auto e : examples) {
    out.append(first ? "'" : " or '").append(e).append("', ");
    first = false;
  }
  return out.append("regex used for validation is '").append(re).append("')");
}

std::string subdomain_re() { return std::string{label_re}.append("(\\.").append(label_re).append(")*"); }

std::string masked(std::string_view s, bool is_prefix) {
  std::string out{s};
  // A prefix may end in a dash: a generated name goes on with a letter.
  if (is_prefix && out.size() > 1 && out.back() == '-') out[out.size() - 2] = 'a', out.pop_back();
  return out;
}

void prefix_each(faults& f, std::string_view prefix) {
  for (auto& x : f)
    x.insert(0, prefix);
}

} // namespace

std::string lower(std::string_view s) {
  std::string out{s};
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool is_dns1123_label(std::string_view s) noexcept { return s.size() <= label_bytes_max && label_form(s); }
bool is_dns1123_subdomain(std::string_view s) noexcept { return s.size() <= subdomain_bytes_max && subdomain_form(s); }
bool is_label_value(std::string_view s) noexcept {
  return s.empty() || (s.size() <= label_bytes_max && name_part_form(s));
}

bool is_qualified(std::string_view s) noexcept {
  const auto slash = s.find('/');
  if (slash == s.npos) return s.size() <= label_bytes_max && name_part_form(s);
  const auto name = s.substr(slash + 1);
  return is_dns1123_subdomain(s.substr(0, slash)) && name.size() <= label_bytes_max && name_part_form(name);
}

bool is_ipv4(std::string_view s) noexcept {
  in_addr a{};
  std::array<char, INET_ADDRSTRLEN + 1> buf{};
  if (s.size() >= buf.size()) return false;
  std::copy(s.begin(), s.end(), buf.begin());
  return inet_pton(AF_INET, buf.data(), &a) == 1;
}

bool is_ipv6(std::string_view s) noexcept {
  in6_addr a{};
  std::array<char, INET6_ADDRSTRLEN + 1> buf{};
  if (s.size() >= buf.size()) return false;
  std::copy(s.begin(), s.end(), buf.begin());
  return inet_pton(AF_INET6, buf.data(), &a) == 1;
}

bool is_ip(std::string_view s) noexcept { return is_ipv4(s) || is_ipv6(s); }

faults dns1123_label(std::string_view s) {
  faults out;
  if (s.size() > label_bytes_max) out.push_back(max_length(label_bytes_max));
  if (!label_form(s))
    out.push_back(regex_fault("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
                              "and must start and end with an alphanumeric character",
                              label_re, {"my-name", "123-abc"}));
  return out;
}

faults dns1123_subdomain(std::string_view s) {
  faults out;
  if (s.size() > subdomain_bytes_max) out.push_back(max_length(subdomain_bytes_max));
  if (!subdomain_form(s))
    out.push_back(regex_fault("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
                              "or '.', and must start and end with an alphanumeric character",
                              subdomain_re(), {"example.com"}));
  return out;
}

faults dns1035_label(std::string_view s) {
  faults out;
  if (s.size() > label_bytes_max) out.push_back(max_length(label_bytes_max));
  if (!label_form(s) || !lower_alpha(s.front()))
    out.push_back(regex_fault("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with "
                              "an alphabetic character, and end with an alphanumeric character",
                              "[a-z]([-a-z0-9]*[a-z0-9])?", {"my-name", "abc-123"}));
  return out;
}

faults path_segment(std::string_view s) {
  if (s == "." || s == "..") return {"may not be '" + std::string{s} + "'"};
  faults out;
  for (char c : {'/', '%'})
    if (s.find(c) != s.npos) out.push_back(std::string{"may not contain '"} + c + "'");
  return out;
}

faults qualified(std::string_view s) {
  constexpr std::string_view re = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
  faults out;
  const auto slash = s.find('/');
  auto name = s;
  if (slash != s.npos) {
    if (s.find('/', slash + 1) != s.npos) {
      out.push_back("a qualified name " +
                    regex_fault("must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
                                "with an alphanumeric character",
                                re, {"MyName", "my.name", "123-abc"}) +
                    " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')");
      return out;
    }
    const auto prefix = s.substr(0, slash);
    name = s.substr(slash + 1);
    if (prefix.empty()) {
      out.push_back("prefix part must be non-empty");
    } else if (auto f = dns1123_subdomain(prefix); !f.empty()) {
      prefix_each(f, "prefix part ");
      out.insert(out.end(), f.begin(), f.end());
    }
  }
  if (name.empty()) {
    out.push_back("name part must be non-empty");
  } else if (name.size() > label_bytes_max) {
    out.push_back("name part " + max_length(label_bytes_max));
  }
  if (!name_part_form(name))
    out.push_back("name part " + regex_fault("must consist of alphanumeric characters, '-', '_' or '.', and must "
                                             "start and end with an alphanumeric character",
                                             re, {"MyName", "my.name", "123-abc"}));
  return out;
}

faults label_value(std::string_view s) {
  faults out;
  if (s.size() > label_bytes_max) out.push_back(max_length(label_bytes_max));
  if (!s.empty() && !name_part_form(s))
    out.push_back(regex_fault("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' "
                              "or '.', and must start and end with an alphanumeric character",
                              "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", {"MyValue", "my_value", "12345"}));
  return out;
}

faults env_name(std::string_view s) {
  // The relaxed rule of 1.32: printable ASCII without the equals sign.
  const bool good =
      !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= ' ' && c <= '~' && c != '='; });
  if (good) return {};
  return {"a valid environment variable name must consist only of printable ASCII characters other than '='"};
}

faults config_map_key(std::string_view s) {
  faults out;
  if (s.size() > subdomain_bytes_max) out.push_back(max_length(subdomain_bytes_max));
  const bool good = !s.empty() && std::all_of(s.begin(), s.end(),
                                              [](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; });
  if (!good)
    out.push_back(regex_fault("a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                              "[-._a-zA-Z0-9]+", {"key.name", "KEY_NAME", "key-name"}));
  if (s == ".") out.push_back("must not be '.'");
  if (s == "..")
    out.push_back("must not be '..'");
  else if (s.starts_with(".."))
    out.push_back("must not start with '..'");
  return out;
}

faults port_name(std::string_view s) {
  faults out;
  if (s.size() > port_name_bytes_max) out.push_back("must be no more than 15 characters");
  const bool charset = !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return lower_alnum(c) || c == '-'; });
  if (!charset) out.push_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (std::none_of(s.begin(), s.end(), lower_alpha)) out.push_back("must contain at least one letter (a-z)");
  if (s.find("--") != s.npos) out.push_back("must not contain consecutive hyphens");
  if (!s.empty() && (s.front() == '-' || s.back() == '-')) out.push_back("must not begin or end with a hyphen");
  return out;
}

faults http_header_name(std::string_view s) {
  const bool good = !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return alnum(c) || c == '-'; });
  if (good) return {};
  return {regex_fault("a valid HTTP header must consist of alphanumeric characters or '-'", "[-A-Za-z0-9]+",
                      {"X-Header-Name"})};
}

faults cidr(std::string_view s) {
  const auto slash = s.find('/');
  const auto address = s.substr(0, slash);
  const bool four = is_ipv4(address);
  if (slash != s.npos && (four || is_ipv6(address))) {
    const auto bits = s.substr(slash + 1);
    int n = 0;
    bool number = !bits.empty() && bits.size() <= 3 && !(bits.size() > 1 && bits[0] == '0');
    for (char c : bits) {
      number = number && digit(c);
      n = n * 10 + (c - '0');
    }
    if (number && n <= (four ? 32 : 128)) return {};
  }
  return {"must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"};
}

faults by_rule(std::string_view rule, std::string_view s, bool is_prefix) {
  // A rule may carry a length, as in `dns1123subdomain, <=52`; that one belongs to the kind.
  const auto form = rule.substr(0, rule.find(','));
  if (form == "dns1123label") return dns1123_label(masked(s, is_prefix));
  if (form == "dns1035label") return dns1035_label(masked(s, is_prefix));
  if (form == "dns1123subdomain") return dns1123_subdomain(masked(s, is_prefix));
  return path_segment(s);
}

} // namespace names
} // namespace troupe
